"""The index of sessions: a SQLite database of what each environment had when it was last asked."""
