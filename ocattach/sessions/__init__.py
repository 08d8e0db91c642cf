"""Sessions of all environments: what each is, where it came from, and what is remembered of it."""
