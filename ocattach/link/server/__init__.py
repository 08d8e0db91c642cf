"""The link process: it holds the connection to one daemon, and restores it."""
