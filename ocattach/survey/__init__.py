"""Queries many environments side by side within one deadline: their status and their sessions. Starts no daemon."""
