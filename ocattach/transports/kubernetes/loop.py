"""The channels of a WebSocket in an event loop."""

import asyncio
from collections.abc import Callable

from ocattach.transports.kubernetes.channels import HIGH, Channels

MESSAGE = 128 * 1024
"""The largest message, in bytes: more than a frame of the relay's and its header."""


class LoopTransport(asyncio.Transport):
    """The channels as a transport of an event loop, which alone uses them, without a thread in between.

    `receive` returns the output that has arrived. What cannot be sent now is buffered, and pauses the protocol above a
    limit.
    """

    def __init__(
        self, channels: Channels, protocol: asyncio.Protocol, into: int, receive: Callable[[], bytes]
    ) -> None:
        super().__init__()
        self._loop = asyncio.get_running_loop()
        self._channels, self._protocol = channels, protocol
        self._into, self._receive = into, receive
        self._fileno = channels.fileno()
        self._limit = HIGH
        self._paused = self._writing = self._aborted = False
        protocol.connection_made(self)
        if not channels.ended:
            self._loop.add_reader(self._fileno, self._read)
            self._update()
        self._loop.call_soon(self._read)  # no poll shows what has been read already, by TLS for one

    def set_write_buffer_limits(self, high: int | None = None, low: int | None = None) -> None:  # noqa: ARG002
        """Set how many unsent bytes pause the protocol; a quarter of them resume it."""
        self._limit = HIGH if high is None else high

    def is_closing(self) -> bool:
        """Return whether the protocol has left the channels, or they have ended."""
        return self._aborted

    def write(self, data: bytes | bytearray | memoryview) -> None:
        """Send data as far as possible now, and buffer the rest."""
        if self._aborted:
            return
        for start in range(0, len(data), MESSAGE):
            self._channels.send(self._into, bytes(data[start : start + MESSAGE]))
        self._update()

    def abort(self) -> None:
        """Leave the channels, which the owner of the stream closes."""
        if not self._aborted:
            self._aborted = True
            if self._fileno >= 0:
                self._loop.remove_reader(self._fileno)
                self._loop.remove_writer(self._fileno)
            self._loop.call_soon(self._protocol.connection_lost, None)

    def _read(self) -> None:
        if self._aborted:
            return  # before it was called
        data = self._receive()
        if data:
            self._protocol.data_received(data)
        if len(data) >= HIGH:
            self._loop.call_soon(self._read)  # after what else is to be done
        elif self._channels.ended:
            self.abort()

    def _write(self) -> None:
        self._channels.flush()
        self._update()

    def _update(self) -> None:
        """Wait for what can be sent, and pause or resume the protocol."""
        unsent = self._channels.unsent
        if bool(unsent) != self._writing:
            self._writing = bool(unsent)
            if unsent:
                self._loop.add_writer(self._fileno, self._write)
            else:
                self._loop.remove_writer(self._fileno)
        if unsent > self._limit if not self._paused else unsent <= self._limit // 4:
            self._paused = not self._paused
            if self._paused:
                self._protocol.pause_writing()
            else:
                self._protocol.resume_writing()
