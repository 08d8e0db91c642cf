"""The data plane: a port of this machine that leads to a port in an environment.

`tunnel.Tunnel` is what others use, over one of the routes in `route`; `sources` has the programs for the far end.
Nothing is imported here, because the event loop costs more to import than the command line has to spare.
"""
