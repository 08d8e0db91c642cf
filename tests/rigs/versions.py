"""Real old versions of OpenCode, as npm installs them: see scripts/install-opencode-versions."""

import os
from pathlib import Path

from tests.rigs.availability import Unavailable
from tests.rigs.opencode import opencode_bin

OLD = ("1.1.65", "1.14.41", "1.17.0")
"""Each is of another shape: node script, node script with its program beside it, program alone."""


def command(version: str) -> Path:
    """What a user's PATH would lead to."""
    if version == "current":
        return Path(opencode_bin())
    cache = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
    folder = cache / "ocattach-tests/opencode" / version
    if not (folder / "complete").exists():
        raise Unavailable(f"opencode {version} is not in {folder}: scripts/install-opencode-versions")
    return folder / "node_modules/.bin/opencode"
