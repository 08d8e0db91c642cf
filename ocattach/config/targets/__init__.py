"""Targets: what a connection leads to. One module for each kind of environment, and the table of schemes."""
