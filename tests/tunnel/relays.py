"""The relays under test, each as a process at the other end of a socket pair."""

import os
import socket
import subprocess
import sys
import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path

from ocattach.execution import Stream
from ocattach.tunnel.relay import relay_source
from tests.rigs.availability import Unavailable
from tests.rigs.opencode import opencode_bin


class ProcessStream(Stream):
    """A command of this machine whose stdin and stdout are a socket."""

    def __init__(self, argv: Sequence[str]) -> None:
        self._socket, far = socket.socketpair()
        self._stderr = tempfile.TemporaryFile()  # noqa: SIM115  (closed with the stream)
        with far:
            self.process = subprocess.Popen(
                argv, stdin=far.fileno(), stdout=far.fileno(), stderr=self._stderr
            )

    @property
    def socket(self) -> socket.socket:
        return self._socket

    def diagnosis(self) -> str:
        if self._stderr.closed:
            return ""
        return os.pread(self._stderr.fileno(), 4096, 0).decode("utf-8", "replace")

    def close(self) -> None:
        self._socket.close()
        self.process.kill()
        self.process.wait()
        self._stderr.close()


def opencode_relay() -> list[str]:
    try:
        program = opencode_bin()
    except LookupError as reason:
        raise Unavailable(str(reason)) from None
    return [
        "env", "BUN_BE_BUN=1", program, "--config=/dev/null", "--no-env-file", "-e", relay_source(),
    ]  # fmt: skip


def python_relay() -> list[str]:
    return [sys.executable, "-c", Path(__file__).with_name("relay.py").read_text(encoding="utf-8")]


def through_pipes(argv: Sequence[str]) -> list[str]:
    """The same relay behind pipes, which is what it has in a container."""
    return ["sh", "-c", 'cat | "$@" | cat', "sh", *argv]


RELAYS: dict[str, Callable[[], list[str]]] = {
    "opencode": opencode_relay,
    "python": python_relay,
}
