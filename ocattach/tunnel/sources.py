"""The relay programs as source text, which is how they travel to an environment."""

from pathlib import Path
from typing import Literal


def relay_source(name: Literal["relay.js", "relay.py"]) -> str:
    """The program that is the far end of a tunnel: `relay.js` for Bun and Node >= 16, `relay.py` for Python >= 3.6."""
    return Path(__file__).with_name(name).read_text(encoding="utf-8")
