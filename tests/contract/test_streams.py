"""Promises about the stream of a running command."""

import asyncio
import select

import pytest

from ocattach.execution import Stream
from ocattach.transports.command import CommandTransport
from tests.environments import Environment

MEGABYTE = 1000 * 1000
SECONDS = 30
ANSWER = f'head -c {MEGABYTE} /dev/zero; read -r first; read -r second; echo "$first $second"'


@pytest.fixture(scope="module")
def environment(shared_environment: Environment) -> Environment:
    """One for all: each command ends by itself."""
    return shared_environment


class Reader(asyncio.Protocol):
    """Reads a stream until its command has ended."""

    def __init__(self, stream: Stream) -> None:
        self.received = bytearray()
        self.ended = asyncio.Event()
        self.transport: asyncio.Transport | None = None
        self._stream = stream

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Take the transport."""
        assert isinstance(transport, asyncio.Transport)
        self.transport = transport

    def data_received(self, data: bytes) -> None:
        """Keep what came."""
        self.received += self._stream.decode(data)

    def connection_lost(self, _error: Exception | None) -> None:
        """The command has ended."""
        self.ended.set()


async def read_on(stream: Stream, line: bytes) -> bytes:
    """Attach to a stream, send a line and return the output up to the end."""
    reader = Reader(stream)
    await stream.attach(reader)
    assert reader.transport is not None
    reader.transport.write(line)
    async with asyncio.timeout(SECONDS):
        await reader.ended.wait()
    reader.transport.abort()
    return bytes(reader.received)


def test_a_protocol_goes_on_where_the_socket_was_used_before(environment: Environment) -> None:
    with environment.handler() as handler:
        assert isinstance(handler, CommandTransport)
        handler.check_available()
        stream = handler.open_stream(["sh", "-c", ANSWER])
        try:
            assert select.select([stream.socket], [], [], SECONDS)[0]
            stream.socket.sendall(b"one\n")
            output = asyncio.run(read_on(stream, b"two\n"))
        finally:
            stream.close()

    assert output == bytes(MEGABYTE) + b"one two\n"
