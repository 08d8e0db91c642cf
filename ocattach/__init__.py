"""Named connections from the OpenCode TUI to containers, hosts and clusters."""

__version__ = "0.1.0"
