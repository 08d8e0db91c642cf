"""Resolves a name or URI to a connection: URIs, saved and project definitions, precedence, trust, settings.

Imports nothing, since a saved name on a warm link is resolved within milliseconds.
"""
