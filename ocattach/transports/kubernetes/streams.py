"""The channels of a WebSocket as a stream: by a thread, or in an event loop."""

import asyncio
import select
import socket
import threading
from typing import ClassVar, NamedTuple

from websocket import WebSocketException

from ocattach.errors import ConnectionLostError
from ocattach.execution import Stream
from ocattach.transports.kubernetes.channels import CHUNK, HIGH, STATUS, STDERR, STDIN, STDOUT, Channels
from ocattach.transports.kubernetes.loop import LoopTransport
from ocattach.transports.pump import shut_down
from ocattach.tunnel.blocking import in_thread

PORT, PORT_ERROR = range(2)

DIAGNOSIS = 4096
QUIET_SECONDS = 60
"""Seconds of silence after which a port whose input has ended is closed. The v4 protocol cannot send that end, so a
client that has left looks like one that waits."""

JOIN_SECONDS = 5


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
        self._attached = False
        """Whether an event loop takes the thread's place."""
        self.lock = threading.Lock()
        """Held by a thread that uses the channels."""
        self._thread = threading.Thread(target=self._carry, name="ocattach-kubernetes-stream", daemon=True)
        self._thread.start()

    @property
    def socket(self) -> socket.socket:
        return self._outer

    def diagnosis(self) -> str:
        return self._errors.decode(errors="replace").strip()

    async def attach(self, protocol: asyncio.Protocol) -> None:
        """End the thread, after it has sent what was written, and let the event loop use the channels itself."""
        self._attached = True
        shut_down(self._outer, socket.SHUT_WR)
        await in_thread(self._thread.join)
        if self._closing:
            raise ConnectionLostError("The stream was closed")
        self._backlog[:0] = rest(self._outer)
        LoopTransport(self._channels, protocol, self._wiring.input, self._receive)

    def _receive(self) -> bytes:
        """Return the output that has arrived, at most about HIGH bytes of it."""
        while len(self._backlog) < HIGH and (message := self._channels.receive()) is not None:
            self._take(*message)
            if not self._channels.has_more:
                break
        output, self._backlog = bytes(self._backlog), bytearray()
        return output

    def close(self) -> None:
        self._closing = True
        shut_down(self._outer, socket.SHUT_RDWR)
        if self._thread is not threading.current_thread():
            self._thread.join(JOIN_SECONDS)
        self._channels.close()
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
            if not self._attached:
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
        if self._channels.half_closing and not self._attached:
            self._channels.end_input(self._wiring.input)

    def _has_ended(self) -> bool:
        if self._attached and not self._reading:
            return True
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


def rest(connection: socket.socket) -> bytes:
    """Return what is left to be read from a socket whose other end is closed."""
    data = bytearray()
    try:
        while piece := connection.recv(CHUNK):
            data += piece
    except ConnectionResetError:  # that end had not read everything
        pass
    return bytes(data)
