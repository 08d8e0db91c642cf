"""What ssh prints on stderr: shown while it logs in, kept for errors, and read as long as a process can write it."""

import os
import select
import threading
from contextlib import suppress

from ocattach.backoff import Deadline

CHUNK = 4096
KEPT = 8 * 1024
"""Bytes of messages that are kept."""


class Messages:
    """The read end of a pipe that is the stderr of ssh and of its proxies.

    It is read until all of them have ended: a proxy that writes to a closed pipe would be killed.
    """

    def __init__(self) -> None:
        self.reader, self.writer = os.pipe()
        os.set_blocking(self.reader, False)
        self._kept = bytearray()
        self._new = bytearray()

    def started(self) -> None:
        """Close this process's write end, once ssh has it."""
        os.close(self.writer)

    def read(self) -> bool:
        """Read what is there; return whether no process can write any more."""
        with suppress(BlockingIOError):
            while data := os.read(self.reader, CHUNK):
                self._keep(data)
            return True
        return False

    def await_end(self, timeout: float) -> None:
        """Read at most so many seconds until no process can write any more: a proxy may say why it ends after ssh."""
        deadline = Deadline(timeout)
        while not (self.read() or deadline.has_passed):
            select.select([self.reader], [], [], deadline.left)

    def _keep(self, data: bytes) -> None:
        self._kept += data
        self._new += data
        del self._kept[:-KEPT], self._new[:-KEPT]

    @property
    def has_new(self) -> bool:
        """Whether there are lines that were not taken yet."""
        return bool(self._new)

    def take_new(self) -> list[str]:
        """Return the lines since the last call."""
        lines = self._new.decode(errors="replace").splitlines()
        self._new.clear()
        return [line for line in lines if line.strip()]

    def text(self) -> str:
        """Return the last 8 KiB."""
        return "\n".join(self._kept.decode(errors="replace").splitlines()).strip()

    def keep_reading(self) -> None:
        """Read on in a thread until no process can write any more."""
        os.set_blocking(self.reader, True)
        self._thread = threading.Thread(target=self._drain, name="ocattach-ssh-messages", daemon=True)
        self._thread.start()

    def join(self, timeout: float) -> None:
        """Wait at most so many seconds until everything was read."""
        self._thread.join(timeout)

    def _drain(self) -> None:
        with suppress(OSError):
            while data := os.read(self.reader, CHUNK):
                self._keep(data)
        os.close(self.reader)
