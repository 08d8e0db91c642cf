"""A relay in Python, for tests of the near end that need no OpenCode; `relay.js` is what users have.

It runs as source text (`python3 -c`) and imports nothing of ours. The protocol is described in `frames.py`.
"""

import errno
import os
import select
import selectors
import socket
import struct
import sys
import time
from collections import deque

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

OPEN, OPENED, DATA, WINDOW, EOF, RESET, PING, PONG = range(1, 9)
HEADER = struct.Struct(">BII")
LARGEST = 65536
CREDIT = 262144
GRANT = 65536
SILENCE = float(sys.argv[1]) if len(sys.argv) > 1 else 45.0  # an argument, in seconds, for tests
HOSTS = {"127.0.0.1": ["127.0.0.1"], "::1": ["::1"], "localhost": ["127.0.0.1", "::1"]}


class Connection:
    """One TCP connection and what it still owes to either side."""

    def __init__(self, relay: "Relay", number: int, port: int, hosts: "list[str]") -> None:
        self.relay = relay
        self.number = number
        self.port = port
        self.hosts = list(hosts)
        self.connected = False
        self.credit = CREDIT
        self.owed = 0
        self.unwritten = deque()  # type: deque[memoryview]
        self.near_ended = False
        self.far_ended = False
        self.shut = False
        self.socket = socket.socket()
        relay.connections[number] = self
        self.connect()

    def connect(self) -> None:
        """Begin to connect to the next of the addresses."""
        host = self.hosts.pop(0)
        self.socket.close()
        try:
            self.socket = socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET)
            self.socket.setblocking(False)
            self.socket.connect((host, self.port))
        except BlockingIOError:
            pass
        except OSError as error:
            self.fail(error.errno or errno.EIO)
            return
        self.watch()

    def fail(self, code: int) -> None:
        """Try the next address, or tell the near end that there is no connection (any more)."""
        if not self.connected and self.hosts:
            self.close()
            self.connect()
            return
        self.relay.send(RESET, self.number, errno.errorcode.get(code, "EIO").encode())
        self.forget()

    def watch(self) -> None:
        """Wait for what can be used now: readable within the credit, writable while something is unwritten."""
        events = 0
        if self.connected and not self.far_ended and self.credit > 0:
            events |= selectors.EVENT_READ
        if self.unwritten or not self.connected:
            events |= selectors.EVENT_WRITE
        self.relay.watch(self.socket, events, self.ready)

    def ready(self, events: int) -> None:
        """Do what the socket is ready for."""
        try:
            if events & selectors.EVENT_WRITE:
                self.write()
            if events & selectors.EVENT_READ and self.connected:
                self.read()
        except BlockingIOError:
            pass
        except OSError as error:
            self.fail(error.errno or errno.EIO)
            return
        if self.relay.connections.get(self.number) is self:
            self.settle()

    def settle(self) -> None:
        """Carry on the end of input once everything is written; forget what has ended both ways."""
        if self.near_ended and self.connected and not self.unwritten and not self.shut:
            self.shut = True
            try:
                self.socket.shutdown(socket.SHUT_WR)
            except OSError as error:
                self.fail(error.errno or errno.EIO)
                return
        if self.shut and self.far_ended:
            self.forget()
        else:
            self.watch()

    def read(self) -> None:
        """Send on what the server wrote."""
        data = self.socket.recv(min(self.credit, LARGEST))
        if data:
            self.credit -= len(data)
            self.relay.send(DATA, self.number, data)
        else:
            self.far_ended = True
            self.relay.send(EOF, self.number)

    def write(self) -> None:
        """Finish connecting, or hand on to the server what waits for it and grant credit for that."""
        if not self.connected:
            code = self.socket.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR)
            if code:
                raise OSError(code, os.strerror(code))
            self.connected = True
            self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            self.relay.send(OPENED, self.number)
        while self.unwritten:
            data = self.unwritten[0]
            count = self.socket.send(data)
            self.owed += count
            if count < len(data):
                self.unwritten[0] = data[count:]
                break
            self.unwritten.popleft()
        if self.owed >= GRANT:
            self.relay.send(WINDOW, self.number, struct.pack(">I", self.owed))
            self.owed = 0

    def abort(self) -> None:
        """Reset the connection, so that the server learns of it."""
        self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.forget()

    def forget(self) -> None:
        """Close the socket; frames that still come for it are ignored."""
        self.relay.connections.pop(self.number, None)
        self.close()

    def close(self) -> None:
        """Close the socket."""
        self.relay.watch(self.socket, 0, self.ready)
        self.socket.close()


class Relay:
    """The frames on stdin and stdout, and the connections they speak of."""

    def __init__(self) -> None:
        self.selector = selectors.DefaultSelector()
        self.connections = {}  # type: dict[int, Connection]
        self.outgoing = deque()  # type: deque[memoryview]
        self.pending = []  # type: list[bytes]
        self.size = 0
        self.needed = HEADER.size
        self.heard = time.monotonic()

    def watch(self, source: "socket.socket | int", events: int, callback: "Callable[[int], None]") -> None:
        """Have `callback` called with the events that the source is ready for; 0 ends that."""
        known = source in self.selector.get_map()
        if events and known:
            self.selector.modify(source, events, callback)
        elif events:
            self.selector.register(source, events, callback)
        elif known:
            self.selector.unregister(source)

    def send(self, kind: int, number: int, payload: bytes = b"") -> None:
        """Queue a frame for stdout."""
        self.outgoing.append(memoryview(HEADER.pack(kind, number, len(payload)) + payload))

    def flush(self) -> None:
        """Write to stdout what it takes."""
        try:
            while self.outgoing:
                data = self.outgoing[0]
                count = os.write(1, data)
                if count < len(data):
                    self.outgoing[0] = data[count:]
                    break
                self.outgoing.popleft()
        except BlockingIOError:
            pass

    def run(self) -> None:
        """Relay until stdin ends, stdout breaks, or nothing was heard for too long."""
        os.set_blocking(1, False)
        self.outgoing.append(memoryview(b"\0ocattach-relay 1\n"))
        self.watch(0, selectors.EVENT_READ, self.read)
        while time.monotonic() - self.heard < SILENCE:
            self.flush()
            if self.outgoing:
                # While stdout is full nothing is read: everything read adds to it.
                select.select([], [1], [], min(5, SILENCE))
                continue
            for key, events in self.selector.select(min(5, SILENCE)):
                if self.selector.get_map().get(key.fd) is key:
                    key.data(events)
                    self.flush()
                if self.outgoing:
                    break

    def read(self, _events: int) -> None:
        """Take what stdin has and act on the frames that are complete."""
        data = os.read(0, LARGEST)
        if not data:
            sys.exit(0)
        self.heard = time.monotonic()
        self.pending.append(data)
        self.size += len(data)
        if self.size < self.needed:
            return
        block = b"".join(self.pending)
        position = 0
        while True:
            self.needed = HEADER.size
            if len(block) - position < self.needed:
                break
            kind, number, length = HEADER.unpack_from(block, position)
            if length > LARGEST:
                sys.exit("A frame is too long.")
            self.needed += length
            if len(block) - position < self.needed:
                break
            position += self.needed
            self.handle(kind, number, block[position - length : position])
        self.pending = [block[position:]]
        self.size = len(block) - position

    def handle(self, kind: int, number: int, payload: bytes) -> None:
        """Act on one frame from the near end."""
        if kind == PING:
            self.send(PONG, number, payload)
        elif kind == OPEN:
            self.open(number, payload)
        elif number in self.connections:
            connection = self.connections[number]
            if kind == RESET:
                connection.abort()
                return
            if kind == DATA:
                connection.unwritten.append(memoryview(payload))
                connection.ready(selectors.EVENT_WRITE if connection.connected else 0)
                return
            if kind == WINDOW:
                connection.credit += struct.unpack(">I", payload)[0]
            elif kind == EOF:
                connection.near_ended = True
            connection.settle()

    def open(self, number: int, payload: bytes) -> None:
        """Connect to the port, on loopback and nowhere else."""
        hosts = HOSTS.get(payload[2:].decode())
        if hosts:
            Connection(self, number, struct.unpack_from(">H", payload)[0], hosts)
        else:
            self.send(RESET, number, b"EACCES")


if __name__ == "__main__":
    try:
        Relay().run()
    except BrokenPipeError:
        sys.exit(0)
