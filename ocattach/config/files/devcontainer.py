"""The devcontainer.json files of a folder: which variables of this machine they use."""

import re
from contextlib import suppress
from itertools import chain, islice
from pathlib import Path

from ocattach.config.files.jsonc import parse
from ocattach.config.files.safe import read_text
from ocattach.errors import ConfigurationError
from ocattach.untrusted_json import table

FILES = (".devcontainer.json", ".devcontainer/devcontainer.json", ".devcontainer/*/devcontainer.json")
"""Where a folder may have them (https://containers.dev/implementors/spec/#devcontainerjson)."""

MOST_FILES = 20
LOCAL = re.compile(r"\$\{(?:localEnv|env):([A-Za-z_][A-Za-z0-9_]*)[:}]")
"""A variable of this machine, as @devcontainers/cli 0.89 reads it: `${localEnv:NAME}`, `${localEnv:NAME:DEFAULT}`."""


def local_variables(folder: Path) -> list[str]:
    """The names of variables of this machine that remoteEnv uses. Files that cannot be read use none."""
    found: set[str] = set()
    for path in configurations(folder):
        with suppress(ConfigurationError, OSError, ValueError):
            remote = table(table(parse(read_text(path) or "{}")).get("remoteEnv"))
            found.update(chain.from_iterable(LOCAL.findall(str(value)) for value in remote.values()))
    return sorted(found)


def configurations(folder: Path) -> list[Path]:
    """The first devcontainer.json files of a folder; the default ones come first."""
    return list(islice(chain.from_iterable(sorted(folder.glob(pattern)) for pattern in FILES), MOST_FILES))
