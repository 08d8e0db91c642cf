"""The kernel's tables of TCP sockets (proc_pid_net(5)), and what they say about who listens on a port."""

import os
import socket
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

Address = tuple[str, int]
TABLES = ("tcp", "tcp6")
LISTENING = "0A"
MAPPED = "0000000000000000FFFF0000"
"""The prefix of an IPv4 address in the IPv6 table, in little-endian byte order."""

ANY = {"0.0.0.0", "0" * 32}  # noqa: S104 - of the tables, nothing is bound
READ_SIZE = 512
"""Bytes of one read. The kernel writes rows as they are read, listening sockets first; few reads find a daemon's."""

NETWORK = Path("/proc/self/net")


class SocketRow(NamedTuple):
    """A socket with a known local port."""

    local: Address
    remote: Address
    is_listening: bool
    uid: int
    inode: int


def socket_table(table: Path, port: int) -> Iterator[SocketRow]:
    """Yield the sockets of a local port from a kernel table; none if it cannot be read."""
    mark = f":{port:04X}"
    pattern = f"{mark} ".encode()
    try:
        with table.open("rb", buffering=READ_SIZE) as lines:
            for line in lines:
                if pattern in line:  # as the local port or the remote one
                    _, local, remote, state, _, _, _, uid, _, inode, *_ = line.decode().split()
                    if local.endswith(mark):
                        is_listening = state == LISTENING
                        yield SocketRow(
                            read_address(local), read_address(remote), is_listening, int(uid), int(inode)
                        )
    except OSError:
        return


def read_address(text: str) -> Address:
    """Parse an address of the kernel's tables, with each 32 bits in the machine's byte order."""
    host, _, port = text.partition(":")
    host = host.removeprefix(MAPPED)
    if len(host) == len("0100007F"):
        host = socket.inet_ntoa(int(host, 16).to_bytes(4, sys.byteorder))
    return host, int(port, 16)


def packed(address: str) -> str:
    """An IPv6 address as the tables have it; an IPv4 address as it is."""
    if ":" not in address:
        return address
    raw = socket.inet_pton(socket.AF_INET6, address.partition("%")[0])
    words = (int.from_bytes(raw[start : start + 4], sys.byteorder) for start in range(0, len(raw), 4))
    return "".join(f"{word:08X}" for word in words)


def listens_here(peer: Address, *, network: Path = NETWORK) -> bool | None:
    """Return whether the other end of a connection to this machine belongs to this account.

    A port is free for any account once its daemon has ended, and the first request carries the password. None
    without the kernel's tables (macOS). Two accounts cannot listen on one port, and listening sockets are listed first,
    so the first one found decides.
    """
    address = {packed(peer[0]), *ANY}
    for table in TABLES:
        for row in socket_table(network / table, peer[1]):
            if row.is_listening and row.local[0] in address:
                return row.uid == os.geteuid()
    return False if any((network / table).exists() for table in TABLES) else None
