"""OpenCode in a network namespace of this machine: the example of a transport in a package of its own."""
