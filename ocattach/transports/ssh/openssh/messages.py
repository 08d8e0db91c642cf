"""What ssh prints on stderr, read as long as a process can write it."""

import os
from collections.abc import Callable
from contextlib import suppress
from threading import Thread

CHUNK = 16 * 1024


class Messages:
    """A pipe that is the stderr of ssh and of its proxies.

    It is read until all of them have ended: a proxy that writes to a closed pipe would be killed.
    """

    def __init__(self, take: Callable[[bytes], None]) -> None:
        self.reader, self.writer = os.pipe()
        self._take = take
        self._thread = Thread(target=self._drain, name="ocattach-ssh-messages", daemon=True)

    def read(self) -> None:
        """Take what is there."""
        os.set_blocking(self.reader, False)
        with suppress(BlockingIOError):
            while data := os.read(self.reader, CHUNK):
                self._take(data)

    def keep_reading(self) -> None:
        """Read on in a thread until no process can write any more."""
        os.set_blocking(self.reader, True)
        self._thread.start()

    def _drain(self) -> None:
        with suppress(OSError):
            while data := os.read(self.reader, CHUNK):
                self._take(data)
        os.close(self.reader)

    def join(self, timeout: float) -> bool:
        """Wait at most so many seconds until all is read; return whether it is."""
        self._thread.join(timeout)
        return not self._thread.is_alive()
