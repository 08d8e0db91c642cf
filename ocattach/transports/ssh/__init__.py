"""Hosts reached by ssh."""
