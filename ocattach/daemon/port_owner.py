"""Checks which account listens on a port of an environment, where the transport forwards ports itself."""

import re
import threading
import time
from collections.abc import Callable, Sequence

from ocattach.daemon.script import RunCommand, script_argv
from ocattach.errors import ConnectionLostError
from ocattach.execution import Stream

ANSWERS = {b"ours": True, b"other": False, b"unknown": None}
LONGEST = 100
"""Bytes of an answer that are read."""

LOOPBACK = {"127.0.0.1": "0100007F|0{16}FFFF00000100007F", "::1": "0{24}01000000"}
"""Addresses as the kernel's tables have them on little-endian machines; elsewhere only wildcards are recognized."""


class PortOwnerCheck:
    """A shell in the environment that reports who listens on a port, over one stream that `open_stream` opens.

    It is started for the first check, and again once it has ended. Threads may check at the same time.
    """

    def __init__(self, open_stream: Callable[[Sequence[str]], Stream], *, timeout: float) -> None:
        self._open_stream = open_stream
        self._timeout = timeout
        self._lock = threading.Lock()
        self._stream: Stream | None = None
        self._began, self._pattern = 0.0, ""
        self._last: bool | None = None

    def is_ours(self, host: str, port: int) -> bool | None:
        """Return whether this account listens there now; None where the kernel does not show it.

        Call it after the connection is open and before anything is sent. Raises ConnectionLostError when the
        environment does not answer, and what `open_stream` raises.
        """
        called = time.monotonic()
        pattern = row_pattern(host, port)
        with self._lock:
            # A check that began after this call serves all threads that waited for it.
            if self._began < called or self._pattern != pattern:
                self._began, self._pattern = time.monotonic(), pattern
                self._last = self._ask(pattern)
            return self._last

    def _ask(self, pattern: str) -> bool | None:
        open_already = self._stream
        stream = open_already or self._start()
        try:
            return exchange(stream, pattern)
        except (OSError, ConnectionLostError) as error:
            self.close()
            if open_already is not None:
                return self._ask(pattern)
            raise ConnectionLostError("The check of the port's owner did not answer") from error

    def _start(self) -> Stream:
        stream = self._open_stream(script_argv("port_owner"))
        stream.socket.settimeout(self._timeout)
        self._stream = stream
        return stream

    def close(self) -> bool:
        """End the shell. Returns whether there was one."""
        stream, self._stream = self._stream, None
        if stream is not None:
            stream.close()
        return stream is not None


def shows_owners(run: RunCommand, *, timeout: float) -> bool:
    """Return whether the environment shows which account listens on a port, as Linux does."""
    return run(["sh", "-c", "[ -r /proc/self/net/tcp ]"], timeout=timeout).exit_code == 0


def exchange(stream: Stream, pattern: str) -> bool | None:
    """Send a pattern and return the answer. Raises ConnectionLostError for anything else."""
    stream.socket.sendall(f"{pattern}\n".encode())
    answer = b""
    while not answer.endswith(b"\n") and len(answer) < LONGEST:
        received = stream.socket.recv(LONGEST)
        if not received:
            break
        answer += stream.decode(received)
    try:
        return ANSWERS[answer.strip()]
    except KeyError:
        raise ConnectionLostError(f"Not an answer: {answer!r}") from None


def row_pattern(host: str, port: int) -> str:
    """The extended regular expression of a socket that takes connections to an address and port of the loopback.

    Two accounts cannot listen on one port, and IPv4 is looked up first, so the first match decides.
    """
    addresses = "|".join(["0{8}", "0{32}", LOOPBACK.get(host, re.escape(host))])
    return f"^ *[0-9]+: ({addresses}):{port:04X} [0-9A-F]+:0000 0A "
