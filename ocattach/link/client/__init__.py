"""The command line's side of a link: finds, starts and queries it."""
