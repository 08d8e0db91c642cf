"""The opencode program on this machine and its version."""

import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from ocattach.config.files.paths import state_directory
from ocattach.config.files.safe import read_text, write_text
from ocattach.errors import ConfigurationError
from ocattach.link.client.starting import EARLY
from ocattach.opencode.tui.launch import ask_version, find_client, packaged_version, told_version

if TYPE_CHECKING:
    import subprocess


class TuiProgram:
    """The opencode program that shows the TUI.

    Its version is read from its npm package, else from a cache of earlier `opencode --version` output, which is valid
    until the file changes. Otherwise the constructor starts `opencode --version`, which takes most of a second, and
    `version` waits for it.
    """

    def __init__(self, environ: Mapping[str, str]) -> None:
        self.path = find_client(environ)
        self._memory = state_directory(environ) / "client.json"
        real = Path(self.path).resolve()
        status = real.stat()
        self._identity = [str(real), status.st_size, status.st_mtime_ns]
        self._version = packaged_version(real) or self._remembered()
        self._asked: subprocess.Popen[bytes] | None = None
        if self._version is None:
            self._asked = ask_version(self.path)

    @property
    def version(self) -> str:
        """The version, or "unknown". May wait for `opencode --version`."""
        if self._asked is not None:
            self._version, self._asked = told_version(self._asked), None
            if self._version is not None:
                write_text(self._memory, json.dumps({"file": self._identity, "version": self._version}))
        return self._version or "unknown"

    def _remembered(self) -> str | None:
        try:
            memory = json.loads(read_text(self._memory) or "{}")
        except (ValueError, ConfigurationError):
            return None
        known = isinstance(memory, dict) and memory.get("file") == self._identity
        return str(memory["version"]) if known else None

    def become(self, argv: list[str], environ: Mapping[str, str]) -> None:
        """Replace this process by the program, in the home directory.

        Where it starts, opencode loads modules from node_modules, and plugins that tui.json names (1.18.33).
        """
        EARLY.end()
        try:
            os.chdir(environ.get("HOME", "/"))
        except OSError:
            os.chdir("/")
        os.execve(self.path, argv, dict(environ))  # noqa: S606
