"""`ocattach forward` and `ocattach ports`: no daemon runs in these environments, and none is started."""

import json
import re
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from tests.contract.servers import echo, send_and_receive, serve
from tests.environments import Environment
from tests.main_job.laptop import Laptop
from tests.rigs.waiting import wait_until

pytestmark = pytest.mark.one_of_each(without=["local", "podman"])
on_docker = pytest.mark.parametrize("shared_environment", ["docker"], indirect=True)

STRANGER = 54321
ELSEWHERE = "127.0.0.9"
"""An address of every network that a connection to 127.0.0.1 does not reach."""

HOSTILE = "\x1b[2Jhostile\x07"


@pytest.fixture(scope="module")
def environment(shared_environment: Environment) -> Environment:
    """One for all: nothing is left there."""
    return shared_environment


@dataclass
class Forwarding:
    """A running `ocattach forward`."""

    process: subprocess.Popen[str]
    document: dict[str, Any]

    @property
    def local(self) -> list[int]:
        """The ports of this machine."""
        return [each["local"] for each in self.document["forwards"]]


@contextmanager
def forwarding(laptop: Laptop, *ports: object) -> Iterator[Forwarding]:
    """The command until Ctrl-C, and what it has printed first."""
    process = laptop.start("forward", "frontend", *map(str, ports), "-o", "json")
    with process:
        assert process.stdout
        printed = ""
        while not printed.endswith("\n}\n") and (line := process.stdout.readline()):
            printed += line
        try:
            document = json.loads(printed)
            assert "forwards" in document, printed
            yield Forwarding(process, document)
        finally:
            process.send_signal(signal.SIGINT)
            process.wait(20)


def upgrade(connection: socket.socket) -> None:
    """A WebSocket server, as far as a tunnel can see."""
    while not connection.recv(65536).endswith(b"\r\n\r\n"):
        pass
    connection.sendall(b"HTTP/1.1 101 Switching Protocols\r\n\r\n")
    echo(connection)


def is_free(port: int) -> bool:
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        return probe.connect_ex(("127.0.0.1", port)) != 0


def others(environment: Environment) -> list[int]:
    """What runs in the environment besides a daemon: relays."""
    return [process.pid for process in environment.processes()]


def test_ports_of_either_loopback_and_of_any_account_are_forwarded_until_the_command_is_killed(
    environment: Environment, laptop: Laptop
) -> None:
    with (
        serve(environment.network, echo, uid=STRANGER) as first,
        serve(environment.network, upgrade, host="::1") as second,
        forwarding(laptop, first, second) as forwarded,
    ):
        assert [each["note"] for each in forwarded.document["forwards"]] == [None, None]
        assert send_and_receive(forwarded.local[0], b"x" * 1_000_000) == b"x" * 1_000_000
        with socket.create_connection(("127.0.0.1", forwarded.local[1]), 20) as client:
            client.sendall(b"GET / HTTP/1.1\r\nUpgrade: websocket\r\n\r\n")
            assert client.recv(65536).startswith(b"HTTP/1.1 101")
            client.sendall(b"\x81\x02hi")
            assert client.recv(65536) == b"\x81\x02hi"
            assert laptop.run("frontend", "--no-start", "--print-url").exit_code == 6
            client.sendall(b"still there")
            assert client.recv(65536) == b"still there"
            forwarded.process.kill()
            with pytest.raises(ConnectionResetError):
                client.recv(1)

    wait_until(lambda: all(map(is_free, forwarded.local)), "the ports to be free")
    wait_until(lambda: not others(environment), "the relay to end")
    wait_until(lambda: not laptop.links(), "the link to end")


def test_a_lost_connection_comes_back_and_what_does_not_answer_is_named(
    environment: Environment, laptop: Laptop
) -> None:
    with serve(environment.network, echo) as closed:
        pass
    with (
        serve(environment.network, echo) as port,
        serve(environment.network, echo, host=ELSEWHERE) as elsewhere,
        forwarding(laptop, port, elsewhere, closed) as forwarded,
        socket.create_connection(("127.0.0.1", forwarded.local[0]), 20) as client,
    ):
        found, only_elsewhere, nothing = (each["note"] for each in forwarded.document["forwards"])
        assert found is None
        assert ELSEWHERE in only_elsewhere
        assert nothing == f"Nothing listens on port {closed} there yet"

        client.sendall(b"before")
        assert client.recv(65536) == b"before"
        for process in environment.processes():
            process.kill()
        with pytest.raises(ConnectionResetError):
            client.recv(1)
        assert send_and_receive(forwarded.local[0], b"after") == b"after"
        with serve(environment.network, echo, port=closed):
            assert send_and_receive(forwarded.local[2], b"later") == b"later"


@on_docker
@pytest.mark.parametrize("address", ["127.0.0.1", "::1"])
def test_a_port_of_this_machine_that_is_taken_is_replaced_or_refused(laptop: Laptop, address: str) -> None:
    """Also one on ::1, where browsers look first: its program would get the requests and cookies."""
    family = "AF_INET6" if ":" in address else "AF_INET"
    listen = f"import socket as s; l = s.create_server(({address!r}, 0), family=s.{family})"
    holder = [sys.executable, "-c", f"{listen}; print(l.getsockname()[1], flush=True); input()"]
    with subprocess.Popen(holder, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout
        taken = int(process.stdout.readline())
        with forwarding(laptop, taken) as forwarded:
            assert forwarded.local[0] != taken
            with pytest.raises(OSError, match="in use"):
                socket.create_server((address, forwarded.local[0]), family=getattr(socket, family))
        refused = laptop.run("forward", "frontend", f"{taken}:3000", "-o", "json")
        itself = laptop.run("forward", "local://", f"{taken}:{taken}", "-o", "json")
        process.communicate("\n")

    assert "share one network" in itself.document["error"]["message"]
    assert refused.document["error"]["code"] == "local-port"
    assert f"(pid {process.pid})" in refused.document["error"]["message"]


def test_ports_lists_programs_whatever_their_names_are(environment: Environment, laptop: Laptop) -> None:
    folder = Path(environment.workdir) / HOSTILE
    start = 'mkdir -p "$1"; cd "$1"; busybox httpd -f -p 127.0.0.1:"$2" -h "$1" </dev/null >/dev/null 2>&1 &'
    with serve(environment.network, echo) as port:
        pass
    with environment.handler() as handler:
        handler.run(["sh", "-c", start, "sh", str(folder), str(port)], timeout=20)
    with forwarding(laptop, port) as forwarded:
        table = laptop.run("ports", "frontend").stdout
    for process in environment.processes():
        process.kill()

    (line,) = (line for line in table.splitlines() if line.startswith(f"{port} "))
    assert re.search(rf"127\.0\.0\.1 +busybox httpd .*hostile.* 127\.0\.0\.1:{forwarded.local[0]}$", line)
    assert not set(table) & {"\x1b", "\x07"}
