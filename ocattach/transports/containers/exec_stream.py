"""The stream of a Docker exec, whose output frames are marked as stdout or stderr."""

import socket
from collections.abc import Callable

from ocattach.errors import ConnectionLostError, TimedOutError
from ocattach.execution import Stream, check_output
from ocattach.transports.exchange import exchange
from ocattach.transports.pump import Pump

HEADER = 8
"""Bytes: stream number, three zeros, length as u32 (Docker Engine API, "Attach to a container", stream format)."""

STDOUT, STDERR = 1, 2
DIAGNOSIS = 4096
MAX_FRAME = 16 * 1024 * 1024


class ExecDecoder:
    """Decodes frames: returns stdout, and keeps stderr or its last bytes."""

    def __init__(self, *, stderr_limit: int | None = None) -> None:
        self._header = bytearray()
        self._kind = 0
        self._left = 0
        self.stderr = bytearray()
        """The output on stderr; with a limit, its last bytes."""
        self._stderr_limit = stderr_limit

    def feed(self, data: bytes) -> bytes:
        """Return the stdout in data. Raises ConnectionLostError for malformed frames."""
        output = []
        view = memoryview(data)
        while view:
            if not self._left:
                taken = HEADER - len(self._header)
                self._header += view[:taken]
                view = view[taken:]
                if len(self._header) == HEADER:
                    self._start_frame()
                continue
            chunk = view[: self._left]
            view = view[len(chunk) :]
            self._left -= len(chunk)
            if self._kind == STDOUT:
                output.append(chunk)
            else:
                self.stderr += chunk
                if self._stderr_limit is not None:
                    del self.stderr[: -self._stderr_limit]
        return bytes(output[0]) if len(output) == 1 else b"".join(output)

    def _start_frame(self) -> None:
        self._kind = self._header[0]
        self._left = int.from_bytes(self._header[4:HEADER])
        if self._kind not in {STDOUT, STDERR} or any(self._header[1:4]) or self._left > MAX_FRAME:
            raise ConnectionLostError(f"The engine sent a malformed output frame: {bytes(self._header)!r}")
        self._header.clear()


def frame(kind: int, data: bytes) -> bytes:
    """Return output as a frame; `kind` is STDOUT or STDERR."""
    return bytes([kind, 0, 0, 0]) + len(data).to_bytes(4) + data


def split_frames() -> Callable[[bytes], tuple[bytes, bytes]]:
    """Return a function that takes frames as they arrive, and returns their stdout and stderr."""
    decoder = ExecDecoder()

    def split(data: bytes) -> tuple[bytes, bytes]:
        stdout, stderr = decoder.feed(data), bytes(decoder.stderr)
        decoder.stderr.clear()
        return stdout, stderr

    return split


class ExecStream(Stream):
    """A running exec, over a connection to its engine; `early` was already read from that."""

    def __init__(self, stream: Stream, early: bytes) -> None:
        self._decoder = ExecDecoder(stderr_limit=DIAGNOSIS)
        self._stream = stream
        self._pump = Pump.over_socket(stream.socket, early) if early else None

    @property
    def socket(self) -> socket.socket:
        return self._pump.socket if self._pump else self._stream.socket

    def decode(self, data: bytes) -> bytes:
        return self._decoder.feed(data)

    def diagnosis(self) -> str:
        return self._decoder.stderr.decode(errors="replace").strip() or self._stream.diagnosis()

    def close(self) -> None:
        if self._pump:
            self._pump.close()
        self._stream.close()


def run_exec(
    stream: Stream, early: bytes, stdin: bytes, deadline: float, *, place: str
) -> tuple[bytes, bytes]:
    """Send an exec its input and return its stdout and stderr; `early` was already read from the stream.

    Raises TimedOutError at the deadline, and TooMuchOutputError.
    """
    decoder = ExecDecoder()
    stdout = bytearray(decoder.feed(early))
    try:
        for data in exchange(stream.socket, stdin, deadline):
            stdout += decoder.feed(data)
            check_output(len(stdout) + len(decoder.stderr), place)
    except TimeoutError:
        raise TimedOutError(f"A command in {place} did not end in time") from None
    return bytes(stdout), bytes(decoder.stderr)
