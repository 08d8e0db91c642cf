"""Finding what is wrong: a ladder of steps from this machine to a daemon that answers, each timed.

Nothing is started, accepted or written down on the way.
"""
