"""Checks a connection, or this machine, step by step; each step is timed.

Starts no daemon, accepts no host key, and stores nothing.
"""
