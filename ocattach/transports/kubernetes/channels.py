"""The WebSockets of exec and port forwarding, whose messages begin with a channel number.

One thread reads and writes each: an OpenSSL connection must not be used by two threads at once.
"""

import select
import ssl
import time
from collections.abc import Mapping
from typing import TYPE_CHECKING

from websocket import ABNF, WebSocket, WebSocketException

from ocattach.errors import ConnectionLostError, TimedOutError
from ocattach.execution import check_output

if TYPE_CHECKING:
    import socket

HALF_CLOSING = "v5.channel.k8s.io"
"""The protocol that can end a single channel, by a message on channel 255; kubelets before 1.30 only have v4."""

CLOSE_CHANNEL = 255
STDIN, STDOUT, STDERR, STATUS = range(4)

CHUNK = 64 * 1024
HIGH = 256 * 1024
"""Bytes buffered on either side of a stream before reading pauses."""

LARGE = 4096
"""Bytes of a read that is probably not the last one for now."""

EVERY_BYTE, ONES = int.from_bytes(bytes(range(256))), int.from_bytes(b"\1" * 256)
WOULD_BLOCK = (BlockingIOError, ssl.SSLWantReadError, ssl.SSLWantWriteError)


class Frame(ABNF):
    """A WebSocket frame, masked in a quarter of the time that the library takes (websocket-client 1.9)."""

    def _get_masked(self, mask_key: str | bytes) -> bytes:
        key = bytes(mask_key)  # type: ignore[arg-type]  # random, so never str
        masked = bytearray(key + self.data)  # type: ignore[operator]  # always bytes here
        for number, byte in enumerate(key):
            lane = slice(len(key) + number, None, len(key))
            masked[lane] = masked[lane].translate((EVERY_BYTE ^ byte * ONES).to_bytes(256))
        return bytes(masked)


class Channels:
    """The messages of one WebSocket. No method blocks."""

    def __init__(self, websocket: WebSocket) -> None:
        self.half_closing = websocket.subprotocol == HALF_CLOSING
        self.ended = False
        """Whether the WebSocket is closed."""
        self._websocket = websocket
        if websocket.sock is None:
            raise ConnectionLostError("The WebSocket is closed already")
        self._socket: socket.socket = websocket.sock
        self._socket.setblocking(False)
        websocket.frame_buffer.recv = self._read
        self._record, self._position = b"", 0
        self._unsent = bytearray()
        self._channel = 0

    def fileno(self) -> int:
        """Return the descriptor to poll; call `receive` first, since data buffered by TLS does not show there."""
        return self._socket.fileno()

    @property
    def unsent(self) -> int:
        """The number of bytes still to be sent."""
        return len(self._unsent)

    @property
    def has_more(self) -> bool:
        """Whether `receive` should be called again before a poll."""
        return self._position < len(self._record) or len(self._record) >= LARGE

    def receive(self) -> tuple[int, bytes] | None:
        """Return the channel and data of the next message or part of one; None when there is none."""
        while not self.ended:
            try:
                frame = self._websocket.frame_buffer.recv_frame()
            except WOULD_BLOCK:
                return None
            except (OSError, ValueError, WebSocketException):  # ValueError: what is not a frame
                self.ended = True
                return None
            data = bytes(frame.data)  # type: ignore[arg-type]  # what was received is never str
            match frame.opcode:
                case ABNF.OPCODE_BINARY | ABNF.OPCODE_TEXT if data:
                    self._channel = data[0]
                    return self._channel, data[1:]
                case ABNF.OPCODE_CONT:
                    return self._channel, data
                case ABNF.OPCODE_PING:
                    self._queue(data, ABNF.OPCODE_PONG)
                case ABNF.OPCODE_CLOSE:
                    self.ended = True
        return None

    def _read(self, size: int) -> bytes:
        """Return at most so many bytes. The library asks for each field of a frame, we ask TLS for whole records."""
        if self._position == len(self._record):
            self._record, self._position = b"", 0
            self._record = self._socket.recv(CHUNK)
            if not self._record:
                raise ConnectionResetError
        piece = self._record[self._position : self._position + size]
        self._position += len(piece)
        return piece

    def send(self, channel: int, data: bytes) -> None:
        """Send a message as far as possible now, and buffer the rest."""
        self._queue(bytes([channel]) + data, ABNF.OPCODE_BINARY)

    def _queue(self, data: bytes, opcode: int) -> None:
        self._unsent += Frame(1, 0, 0, 0, opcode, 1, data).format()
        self.flush()

    def flush(self) -> None:
        """Send buffered data as far as possible now."""
        try:
            while self._unsent:
                del self._unsent[: self._socket.send(self._unsent)]
        except WOULD_BLOCK:
            return
        except OSError:
            self._unsent.clear()
            self.ended = True

    def end_input(self, channel: int) -> None:
        """End one channel; only where `half_closing`."""
        self.send(CLOSE_CHANNEL, bytes([channel]))

    def close(self) -> None:
        """Close the WebSocket, which ends the command's input. Closing twice is harmless."""
        if self._socket.fileno() >= 0:
            self._queue(b"\x03\xe8", ABNF.OPCODE_CLOSE)  # 1000: normal closure (RFC 6455, 7.4.1)
            self._socket.close()
        self.ended = True


def exchange(channels: Channels, stdin: bytes, deadline: float) -> Mapping[int, bytearray]:
    """Send stdin and return the output by channel once the command has ended.

    Raises TimedOutError at the deadline, and TooMuchOutputError.
    """
    output = {STDOUT: bytearray(), STDERR: bytearray(), STATUS: bytearray()}
    rest = memoryview(stdin)
    while True:
        while (message := channels.receive()) is not None:
            channel, data = message
            if channel in output:
                output[channel] += data
                check_output(sum(map(len, output.values())), "the pod")
        while rest and channels.unsent < HIGH and not channels.ended:
            channels.send(STDIN, bytes(rest[:CHUNK]))
            rest = rest[CHUNK:]
        channels.flush()
        if channels.ended:
            return output
        left = deadline - time.monotonic()
        if left <= 0:
            raise TimedOutError("The command did not end in time")
        poll = select.poll()
        poll.register(channels, select.POLLIN | (select.POLLOUT if channels.unsent else 0))
        poll.poll(left * 1000)
