"""Daemons that somebody else runs, at a URL."""
