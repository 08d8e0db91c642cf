"""Targets of connections: one module per kind of environment, and the table of schemes."""
