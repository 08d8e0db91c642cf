"""Daemons at a URL, and what answers in their place."""
