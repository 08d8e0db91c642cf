"""Straight to a daemon's port where this machine's own kernel vouches for it: host networks, published ports.

An address says nothing about who answers there, and the first request carries the password. So every connection
is looked up before a byte is sent: it has to stand in the socket table of the container's network, and there the
socket that listens has to be the one that the daemon has open. A port that another program took over, or that
belongs to another machine which happens to have the same address, does not pass; then there is the relay.
"""

import socket
import sys
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from ocattach.daemon.listener import ListeningSockets
from ocattach.errors import ConnectionLostError, PortClosedError
from ocattach.execution import Stream
from ocattach.transports.containers.engine_streams import SocketStream

Address = tuple[str, int]

BOOT_ID = Path("/proc/sys/kernel/random/boot_id")
LISTENING = "0A"
MAPPED = "0000000000000000FFFF0000"
"""What stands before an IPv4 address in the table of IPv6, in the byte order of today's machines."""

DIAL_SECONDS = 0.5
TABLE_SECONDS = 0.05
"""How long the kernel may take to show a new connection at its other end."""

ANYWHERE = {"0.0.0.0": "127.0.0.1", "": "127.0.0.1"}  # noqa: S104 - as the engine says it, and where to dial


@dataclass(frozen=True, slots=True)
class SocketRow:
    """A socket of a known local port."""

    remote: Address
    is_listening: bool
    inode: int


@dataclass(frozen=True, slots=True)
class DirectPort:
    """An address of this machine that should lead to a container's port."""

    address: Address
    process: Path
    """A directory of /proc: that of a process in the container's network."""

    port: int
    """In the container."""

    inodes: frozenset[int] = frozenset()
    """The daemon's listening sockets; empty while they are not known."""

    def dial(self, port: int) -> Stream:  # noqa: ARG002 - it is for one port
        """A connection to the daemon.

        Raises PortClosedError when nothing listens there, ConnectionLostError when somebody else or nobody answers.
        """
        try:
            connection = socket.create_connection(self.address, DIAL_SECONDS)
        except ConnectionRefusedError as error:
            raise PortClosedError(f"Nothing listens on port {self.port} there") from error
        except OSError as error:
            raise ConnectionLostError(f"Port {self.port} does not answer: {error}") from error
        if self._is_the_daemons(self._table_with(connection)):
            connection.settimeout(None)
            return SocketStream(connection)
        connection.close()
        raise ConnectionLostError(f"Port {self.port} is not the daemon's any more")

    def leads_to_container(self) -> bool:
        """Whether a connection to the address ends in the container's network; nothing is sent."""
        try:
            with socket.create_connection(self.address, DIAL_SECONDS) as connection:
                return bool(self._table_with(connection))
        except OSError:
            return False

    def _table_with(self, connection: socket.socket) -> list[SocketRow]:
        """The container's sockets of that port, once the other end of a connection is among them; else none."""
        here = connection.getsockname()[:2]
        deadline = time.monotonic() + TABLE_SECONDS
        while True:
            for table in ("tcp", "tcp6"):
                rows = list(socket_table(self.process / "net" / table, self.port))
                if any(row.remote == here for row in rows):
                    return rows
            if time.monotonic() > deadline:
                return []
            time.sleep(0.002)

    def _is_the_daemons(self, rows: Iterable[SocketRow]) -> bool:
        """Whether something listens on the port, and all that does is the daemon's."""
        found = {row.inode for row in rows if row.is_listening}
        return bool(found) and found <= self.inodes


def socket_table(table: Path, port: int) -> Iterator[SocketRow]:
    """The sockets of a local port in a table of the kernel's (proc_pid_net(5)); none where it cannot be read."""
    try:
        lines = table.read_text().splitlines()
    except OSError:
        return
    mark = f":{port:04X} "
    for line in lines:
        if mark in line:  # as the local port or the remote one
            _, local, remote, state, _, _, _, _, _, inode, *_ = line.split()
            if local.endswith(mark.strip()):
                yield SocketRow(read_address(remote), state == LISTENING, int(inode))


def read_address(text: str) -> Address:
    """An address as the kernel's tables have it: each 32 bits in the machine's byte order."""
    host, _, port = text.partition(":")
    host = host.removeprefix(MAPPED)
    if len(host) == len("0100007F"):
        host = socket.inet_ntoa(int(host, 16).to_bytes(4, sys.byteorder))
    return host, int(port, 16)


def candidates(container: Mapping[str, Any], host: str, port: int) -> Iterator[DirectPort]:
    """Where a port of a container might be on this machine, by what its engine says.

    `host` is the address on which the daemon listens there.
    """
    if container["HostConfig"]["NetworkMode"] == "host":
        yield DirectPort((host, port), Path("/proc/self"), port)
        return
    network = container["NetworkSettings"]
    published = (network.get("Ports") or {}).get(f"{port}/tcp") or ()
    if not published:
        return
    process = Path(f"/proc/{container['State']['Pid']}")
    for binding in published:
        at = ANYWHERE.get(binding["HostIp"], binding["HostIp"])
        yield DirectPort((at, int(binding["HostPort"])), process, port)
    # Docker's own proxy stands before a port published on loopback; the address behind it needs none.
    for settings in (network.get("Networks") or {}).values():
        if settings.get("IPAddress"):
            yield DirectPort((settings["IPAddress"], port), process, port)


def find_direct(
    ports: Iterable[DirectPort], find_listener: Callable[[], ListeningSockets]
) -> DirectPort | None:
    """The first of several ports that is the daemon's beyond doubt; the environment is asked once, if at all."""
    listener: ListeningSockets | None = None
    for port in ports:
        if not port.leads_to_container():
            continue
        listener = listener or find_listener()
        if not listener.kernel or listener.kernel != own_kernel():
            return None
        proven = replace(port, inodes=listener.inodes)
        try:
            proven.dial(port.port).close()
        except (ConnectionLostError, PortClosedError):
            continue
        return proven
    return None


def own_kernel() -> str:
    """The boot id of this machine's kernel; empty where there is none to be read."""
    try:
        return BOOT_ID.read_text().strip()
    except OSError:
        return ""
