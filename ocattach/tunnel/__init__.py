"""The data plane: a local port connected to a port in an environment.

Other rooms use `tunnel.Tunnel` with one of the routes in `route`. Nothing is imported here: asyncio is slow to import.
"""
