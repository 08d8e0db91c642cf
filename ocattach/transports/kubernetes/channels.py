"""The WebSockets of exec and port forwarding, whose messages begin with a channel number.

One thread reads and writes each: an OpenSSL connection must not be used by two threads at once.
"""

import select
import socket
import ssl
import threading
import time
from collections.abc import Mapping
from typing import ClassVar, NamedTuple

from websocket import ABNF, WebSocket, WebSocketException

from ocattach.errors import ConnectionLostError, TimedOutError
from ocattach.execution import Stream, check_output
from ocattach.transports.pump import shut_down

HALF_CLOSING = "v5.channel.k8s.io"
"""The protocol that can end a single channel, by a message on channel 255; kubelets before 1.30 only have v4."""

CLOSE_CHANNEL = 255
STDIN, STDOUT, STDERR, STATUS = range(4)
PORT, PORT_ERROR = range(2)

CHUNK = 64 * 1024
HIGH = 256 * 1024
"""Bytes buffered on either side of a stream before reading pauses."""

DIAGNOSIS = 4096
QUIET_SECONDS = 60
"""Seconds of silence after which a port whose input has ended is closed. The v4 protocol cannot send that end, so a
client that has left looks like one that waits."""

JOIN_SECONDS = 5
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
        """Whether the other side has closed the WebSocket."""

        self._websocket = websocket
        if websocket.sock is None:
            raise ConnectionLostError("The WebSocket is closed already")
        self._socket: socket.socket = websocket.sock
        self._socket.setblocking(False)
        self._unsent = bytearray()
        self._channel = 0

    def fileno(self) -> int:
        """Return the descriptor to poll; call `receive` first, since data buffered by TLS does not show there."""
        return self._socket.fileno()

    @property
    def unsent(self) -> int:
        """The number of bytes still to be sent."""
        return len(self._unsent)

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


class Wiring(NamedTuple):
    """The channels of a stream."""

    input: int
    output: int
    errors: frozenset[int]
    greeted: bool = False
    """Whether the first message of each channel is the port's number."""


COMMAND = Wiring(STDIN, STDOUT, frozenset({STDERR, STATUS}))
FORWARDED_PORT = Wiring(PORT, PORT, frozenset({PORT_ERROR}), greeted=True)


class ChannelStream(Stream):
    """The channels of a command or port as a socket; a thread copies the bytes.

    If the protocol cannot end a single channel, the end of a command's input ends the stream.
    """

    quiet_milliseconds: ClassVar[int | None] = QUIET_SECONDS * 1000

    def __init__(self, channels: Channels, wiring: Wiring) -> None:
        self._channels, self._wiring = channels, wiring
        self._outer, self._inner = socket.socketpair()
        self._inner.setblocking(False)
        self._greetings = {wiring.output, *wiring.errors} if wiring.greeted else set()
        self._errors = bytearray()
        self._backlog = bytearray()
        self._reading = True
        self._closing = False
        self.lock = threading.Lock()
        """Held by a thread that uses the channels."""
        self._thread = threading.Thread(target=self._carry, name="ocattach-kubernetes-stream", daemon=True)
        self._thread.start()

    @property
    def socket(self) -> socket.socket:
        return self._outer

    def diagnosis(self) -> str:
        return self._errors.decode(errors="replace").strip()

    def close(self) -> None:
        self._closing = True
        shut_down(self._outer, socket.SHUT_RDWR)
        if self._thread is not threading.current_thread():
            self._thread.join(JOIN_SECONDS)
        self._outer.close()

    def _carry(self) -> None:
        try:
            while not self._closing:
                with self.lock:
                    self._carry_output()
                    self._carry_input()
                if self._has_ended() or not self._wait():
                    break
        except (OSError, ValueError, WebSocketException):
            pass  # the other end was closed, or sent what is not a WebSocket's frame
        finally:
            self._channels.close()
            self._inner.close()

    def _carry_output(self) -> None:
        while len(self._backlog) < HIGH and (message := self._channels.receive()) is not None:
            self._take(*message)
        try:
            while self._backlog:
                del self._backlog[: self._inner.send(self._backlog)]
        except BlockingIOError:
            return

    def _take(self, channel: int, data: bytes) -> None:
        """Add what a channel has received to the output, or to the errors."""
        if channel in self._greetings:
            self._greetings.discard(channel)
        elif channel == self._wiring.output:
            self._backlog += data
        elif channel in self._wiring.errors and b'"status":"Success"' not in data:
            self._errors += data
            del self._errors[:-DIAGNOSIS]

    def _carry_input(self) -> None:
        while self._reading and self._channels.unsent < HIGH:
            try:
                data = self._inner.recv(CHUNK)
            except BlockingIOError:
                break
            if data:
                self._put(data)
            else:
                self._end_input()
        self._channels.flush()

    def _put(self, data: bytes) -> None:
        self._channels.send(self._wiring.input, data)

    def _end_input(self) -> None:
        self._reading = False
        if self._channels.half_closing:
            self._channels.end_input(self._wiring.input)

    def _has_ended(self) -> bool:
        if self._channels.ended:
            return not self._backlog
        hanging_up = self._wiring is COMMAND and not self._channels.half_closing
        return hanging_up and not self._reading and not self._channels.unsent

    def _wait(self) -> bool:
        """Wait until there is something to copy; return False when the client has left."""
        poll = select.poll()
        there = select.POLLIN if len(self._backlog) < HIGH else 0
        if not self._channels.ended:
            poll.register(self._channels, there | (select.POLLOUT if self._channels.unsent else 0))
        here = select.POLLIN if self._reading and self._channels.unsent < HIGH else 0
        poll.register(self._inner, here | (select.POLLOUT if self._backlog else 0))
        happened = dict(poll.poll(None if self._reading else self.quiet_milliseconds))
        hung_up = happened.get(self._inner.fileno(), 0) & select.POLLHUP
        return bool(happened) and (self._reading or not hung_up)
