"""A scripted model, so that real OpenCode sessions run without a network."""
