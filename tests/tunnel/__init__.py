"""The data plane, over real relays in real processes."""
