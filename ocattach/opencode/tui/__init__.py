"""What exists for the TUI alone: starting it, and keeping its screen complete over a gap in the connection."""
