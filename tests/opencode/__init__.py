"""What a TUI shows after a gap in its connection: the real TUI, the real daemon."""
