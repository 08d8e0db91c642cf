"""Another account of the machine takes the port of a daemon that has ended: it gets not one byte."""

import os
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest

from ocattach.tunnel.direct import DirectRoute
from ocattach.tunnel.route import RelayRoute
from ocattach.tunnel.socket_table import listens_here
from ocattach.tunnel.tunnel import Tunnel
from tests.rigs.availability import need, require
from tests.rigs.waiting import wait_until
from tests.tunnel.relays import ProcessStream, opencode_relay

NOBODY = 65534
ANYWHERE = "0.0.0.0"  # noqa: S104 - as daemons may be told to listen
TAKER = """
import os, socket, sys
os.setuid(int(sys.argv[2]))
v6 = ":" in sys.argv[1]
family = socket.AF_INET6 if v6 else socket.AF_INET
listener = socket.create_server((sys.argv[1], 0), family=family, dualstack_ipv6=v6)
print(listener.getsockname()[1], flush=True)
while True:
    taken, _ = listener.accept()
    print("taken", flush=True)
    print(taken.recv(65536), flush=True)
"""


@contextmanager
def stranger(host: str) -> Iterator[tuple[int, Path]]:
    """A port on which another account listens, and the file in which it writes down what it gets."""
    with require("local"):
        need(root=True)
    with TemporaryDirectory() as directory:
        log = Path(directory) / "log"
        with log.open("wb") as file:
            argv = [sys.executable, "-c", TAKER, host, str(NOBODY)]
            process = subprocess.Popen(argv, stdout=file)
        try:
            wait_until(lambda: log.read_text().strip(), "the stranger to listen")
            yield int(log.read_text().split()[0]), log
        finally:
            process.kill()
            process.wait()


def request(tunnel: Tunnel) -> bytes:
    """What comes back for a request with a secret."""
    with socket.create_connection(("127.0.0.1", tunnel.port), timeout=60) as client:
        client.sendall(b"GET / HTTP/1.1\r\nHost: x\r\nAuthorization: Basic secret\r\n\r\n")
        try:
            return client.recv(65536)
        except ConnectionResetError:
            return b""


def relay_route(way: str) -> RelayRoute:
    """A route over the relay; "tables" over one that cannot ask the kernel in another way."""
    with require("opencode"):
        *words, program = opencode_relay()
    asking = "mac ? -1 : libc.socket("
    assert asking in program
    return RelayRoute(
        ProcessStream([*words, program.replace(asking, "-1; (") if way == "tables" else program])
    )


@pytest.mark.parametrize("host", ["127.0.0.1", ANYWHERE, "::"])
@pytest.mark.parametrize("way", ["direct", "relay", "tables"])
def test_a_stranger_on_the_daemons_port_gets_not_one_byte(way: str, host: str) -> None:
    route = DirectRoute("127.0.0.1") if way == "direct" else relay_route(way)
    with stranger(host) as (port, log), Tunnel(route, port) as tunnel:
        assert request(tunnel).startswith(b"HTTP/1.1 503")
        assert b"secret" not in log.read_bytes()


@pytest.mark.parametrize(
    ("host", "remote_host"),
    [("127.0.0.1", "127.0.0.1"), (ANYWHERE, "127.0.0.1"), ("::", "127.0.0.1"), ("::", "::1"), ("::1", "::1")],
)
@pytest.mark.parametrize("way", ["relay", "tables"])
def test_a_relay_reaches_a_port_of_our_own_by_every_address(way: str, host: str, remote_host: str) -> None:
    is_v6 = ":" in host
    with (
        socket.create_server(
            (host, 0), family=socket.AF_INET6 if is_v6 else socket.AF_INET, dualstack_ipv6=host == "::"
        ) as listening,
        Tunnel(relay_route(way), listening.getsockname()[1], remote_host=remote_host) as tunnel,
        socket.create_connection(("127.0.0.1", tunnel.port), timeout=60) as client,
    ):
        listening.settimeout(20)
        client.sendall(b"hello")
        taken, _ = listening.accept()
        with taken:
            assert taken.recv(5) == b"hello"


def test_a_port_of_our_own_is_ours_by_every_address(opened: ExitStack) -> None:
    for host, family in (
        ("127.0.0.1", socket.AF_INET),
        (ANYWHERE, socket.AF_INET),
        ("::1", socket.AF_INET6),
    ):
        listening = opened.enter_context(socket.create_server((host, 0), family=family))
        peer = ("::1" if family is socket.AF_INET6 else "127.0.0.1", listening.getsockname()[1])
        assert listens_here(peer) is True


def test_a_port_on_which_nothing_listens_any_more_is_not_ours() -> None:
    with socket.create_server(("127.0.0.1", 0)) as listening:
        port = listening.getsockname()[1]
    assert listens_here(("127.0.0.1", port)) is False


def test_without_the_kernels_tables_it_cannot_be_known(tmp_path: Path) -> None:
    assert listens_here(("127.0.0.1", 4096), network=tmp_path) is None


def test_one_of_another_account_is_not_ours(tmp_path: Path) -> None:
    row = "head\n0: 0100007F:1000 00000000:0000 0A 0:0 0:0 0 {} 0 1 1\n"
    (tmp_path / "tcp").write_text(row.format(os.geteuid()))
    assert listens_here(("127.0.0.1", 4096), network=tmp_path) is True
    (tmp_path / "tcp").write_text(row.format(NOBODY))
    assert listens_here(("127.0.0.1", 4096), network=tmp_path) is False
