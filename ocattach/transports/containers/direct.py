"""Direct connections to a daemon's port, verified by this machine's kernel: host networks, published ports.

An address does not show which program answers, and the first request carries the password. Therefore each connection
is checked before any data is sent: it has to be in the socket table of the container's network, and the listening
socket there has to be one that the daemon has open. A port that another program took over, or of another machine with
the same address, fails this check; the relay is used then.
"""

import socket
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any, NamedTuple

from ocattach.daemon.listener import ListeningSockets
from ocattach.errors import ConnectionLostError, PortClosedError
from ocattach.execution import Stream
from ocattach.transports.containers.engine_streams import SocketStream
from ocattach.tunnel.socket_table import TABLES, Address, SocketRow, socket_table

BOOT_ID = Path("/proc/sys/kernel/random/boot_id")
DIAL_SECONDS = 0.5
TABLE_SECONDS = 0.05
"""Time for the kernel to list a new connection at its other end."""

ANYWHERE = {"0.0.0.0": "127.0.0.1", "": "127.0.0.1"}  # noqa: S104 - the engine's address, and the one to dial


class DirectPort(NamedTuple):
    """An address of this machine that may lead to a container's port."""

    address: Address
    process: Path
    """The /proc directory of a process in the container's network."""

    port: int
    """In the container."""

    inodes: frozenset[int] = frozenset()
    """The daemon's listening sockets; empty while unknown."""

    def dial(self, port: int) -> Stream:  # noqa: ARG002 - it has one port
        """Open a connection to the daemon.

        Raises PortClosedError when nothing listens, ConnectionLostError when nothing or another program answers.
        """
        try:
            connection = socket.create_connection(self.address, DIAL_SECONDS)
        except ConnectionRefusedError as error:
            raise PortClosedError(f"Nothing listens on port {self.port} there") from error
        except OSError as error:
            raise ConnectionLostError(f"Port {self.port} does not answer: {error}") from error
        listening = {row.inode for row in self._table_with(connection) if row.is_listening}
        if listening and listening <= self.inodes:  # the daemon listens there, and nothing else does
            connection.settimeout(None)
            return SocketStream(connection)
        connection.close()
        raise ConnectionLostError(f"Port {self.port} no longer belongs to the daemon")

    def leads_to_container(self) -> bool:
        """Return whether a connection ends in the container's network; sends nothing."""
        try:
            with socket.create_connection(self.address, DIAL_SECONDS) as connection:
                return bool(self._table_with(connection))
        except OSError:
            return False

    def _table_with(self, connection: socket.socket) -> list[SocketRow]:
        """Return the container's sockets of the port, if the connection's other end is among them."""
        here = connection.getsockname()[:2]
        deadline = time.monotonic() + TABLE_SECONDS
        while True:
            for table in TABLES:
                rows = list(socket_table(self.process / "net" / table, self.port))
                if any(row.remote == here for row in rows):
                    return rows
            if time.monotonic() > deadline:
                return []
            time.sleep(0.002)


def candidates(container: Mapping[str, Any], host: str, port: int) -> Iterator[DirectPort]:
    """Yield the local addresses that may lead to a container's port, from the engine's description.

    `host` is the address on which the daemon listens in the container.
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
    # Docker's proxy serves ports published on loopback; the container's own address needs no proxy.
    for settings in (network.get("Networks") or {}).values():
        if settings.get("IPAddress"):
            yield DirectPort((settings["IPAddress"], port), process, port)


def find_direct(
    ports: Iterable[DirectPort], find_listener: Callable[[], ListeningSockets]
) -> DirectPort | None:
    """Return the first port that is certainly the daemon's; queries the environment at most once."""
    listener: ListeningSockets | None = None
    for port in ports:
        if not port.leads_to_container():
            continue
        listener = listener or find_listener()
        if not listener.kernel or listener.kernel != own_kernel():
            return None
        proven = port._replace(inodes=listener.inodes)
        try:
            proven.dial(port.port).close()
        except (ConnectionLostError, PortClosedError):
            continue
        return proven
    return None


def own_kernel() -> str:
    """Return the boot id of this machine's kernel; empty if unreadable."""
    try:
        return BOOT_ID.read_text().strip()
    except OSError:
        return ""
