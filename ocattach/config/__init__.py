"""From what the user types to what is to be connected: names, URIs, files, precedence and trust.

Nothing is imported here, because a saved name on a warm link is found within milliseconds.
"""
