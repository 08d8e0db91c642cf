"""Starts link processes, one of them before it is known whose link it will be.

Interpreter and imports of a link take as long as those of the command line. Without any link the next command will
need one, most likely: it starts first, and loads on another processor what the command line loads meanwhile.
"""

import atexit
import os
import select
import sys
from collections.abc import Mapping, Sequence
from contextlib import suppress
from typing import Any

from ocattach.config.files.paths import runtime_directory
from ocattach.config.names import RESERVED
from ocattach.config.variables import absolute_variables
from ocattach.errors import OcattachError

WITHOUT_LINK = ("http://", "https://")
"""The beginnings of URIs whose daemon is reached without a link."""

END_SECONDS = 2.0
"""How long processes that were killed may take to end."""


class LinkProcess:
    """A process that waits for the key of an environment, and then is its link. Without a key it ends with this one."""

    def __init__(self, environ: Mapping[str, str]) -> None:
        import subprocess  # noqa: PLC0415 - only without a link

        self.environ = dict(environ)
        self._process: Any = subprocess.Popen(
            [sys.executable, "-P", "-m", "ocattach.link"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            start_new_session=True,
            cwd="/",
            env=self.environ,
        )

    def become(self, key: str, *, timeout: float) -> str:
        """Make it the link of a key. Returns what it prints: "ready", "taken", or nothing within `timeout` seconds."""
        try:
            with suppress(BrokenPipeError):
                self._process.stdin.write(f"{key}\n".encode())
                self._process.stdin.flush()
            ready, _, _ = select.select([self._process.stdout], [], [], timeout)
            return self._process.stdout.readline().decode().strip() if ready else ""
        finally:
            self.release()

    def release(self) -> None:
        """Close the pipes to it, and wait for the process from which it has forked."""
        with suppress(BrokenPipeError), self._process:
            pass

    def end(self) -> None:
        """End it, before it was told a key, and wait until it has ended. Without this it ends once it has loaded."""
        import signal  # noqa: PLC0415 - only without a link

        with suppress(OSError):  # the group that it was started in has its own processes only
            os.killpg(self._process.pid, signal.SIGKILL)
        select.select([self._process.stdout], [], [], END_SECONDS)  # which the last of them closes
        self.release()


class Early:
    """At most one process that was started early."""

    process: LinkProcess | None = None

    def take(self, environ: Mapping[str, str]) -> LinkProcess | None:
        """Return it, unless it has other variables than these."""
        if self.process is None or self.process.environ != environ:
            return None
        process, self.process = self.process, None
        return process

    def end(self) -> None:
        """End it if it was not taken."""
        process, self.process = self.process, None
        if process is not None:
            process.end()


EARLY = Early()


def start_early(words: Sequence[str], environ: Mapping[str, str]) -> None:
    """Start a process if a command line will probably need a link and there is none; unused it ends with this one."""
    with suppress(OcattachError, OSError):
        if connects(words) and not any(runtime_directory(environ).glob("*.sock")):
            EARLY.process = LinkProcess({**environ, **absolute_variables(environ)})
            atexit.register(EARLY.end)


def connects(words: Sequence[str]) -> bool:
    """Whether a command line probably connects to an environment that needs a link."""
    first = words[0] if words else ""
    if first == "attach":
        return True
    return bool(first) and first not in RESERVED and not first.startswith(("-", *WITHOUT_LINK))
