"""The program at the far end of a `RelayRoute`."""

from pathlib import Path


def relay_source() -> str:
    """Return the relay: JavaScript for Bun."""
    return Path(__file__).with_name("relay.js").read_text(encoding="utf-8")
