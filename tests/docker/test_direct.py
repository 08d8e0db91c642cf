"""Straight to the daemon's port, and never to anybody else's: the decoys here are real programs on real ports."""

import json
import socket
import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import closing, contextmanager
from typing import Any

from ocattach.daemon.probe import FoundDaemon
from ocattach.opencode.api import DaemonClient
from ocattach.transports.command import CommandTransport
from ocattach.tunnel.tunnel import Tunnel
from tests.docker.conftest import RemoteEngine
from tests.docker.decoys import Decoy, decoy, free_port
from tests.docker.laptops import handler_for
from tests.docker.visit import visit
from tests.rigs.container import ContainerRig
from tests.rigs.docker import DockerEngine
from tests.rigs.opencode import CHECKOUT
from tests.rigs.waiting import wait_until

IN_THE_CONTAINER = 4096
BY_HAND = (
    "cd; OPENCODE_SERVER_PASSWORD=by-hand; export OPENCODE_SERVER_PASSWORD;"
    'exec opencode serve --hostname "$1" --port "$2" </dev/null >/dev/null 2>&1'
)


def visit_on(engine: DockerEngine, **entry: Any) -> Mapping[str, str]:
    """What a client sees that runs on the machine which the engine has for itself."""
    machine = ["nsenter", "-t", str(engine.daemon.pid), "-m", "-n", "-p", f"--wd={CHECKOUT}"]
    document = json.dumps({"transport": "docker", "host": engine.url, **entry})
    done = subprocess.run(
        [*machine, sys.executable, "-m", "tests.docker.visit", document],
        capture_output=True,
        check=False,
        text=True,
        timeout=60,
    )
    assert done.returncode == 0, done.stderr
    answer: Mapping[str, str] = json.loads(done.stdout)
    return answer


def start_by_hand(container: ContainerRig, host: str, port: int = IN_THE_CONTAINER) -> None:
    """Start a daemon as somebody at a shell in the container would, and see it listen."""
    container.start(["sh", "-c", BY_HAND, "sh", host, str(port)])
    wait_until(lambda: listens(container, port), "the daemon to listen", timeout=60)


def listens(container: ContainerRig, port: int) -> bool:
    try:
        container.network.dial(port).close()
    except OSError:
        return False
    return True


@contextmanager
def daemon_on_this_network(
    engine: DockerEngine,
) -> Iterator[tuple[CommandTransport, FoundDaemon, ContainerRig]]:
    """A daemon in a container on this machine's network, and a handler that knows it."""
    with (
        engine.container("on-host", network_mode="host") as container,
        handler_for("on-host", host=engine.url, daemon_port=free_port()) as handler,
    ):
        daemon = handler.start_daemon().daemon
        assert daemon is not None
        yield handler, daemon, container


def ask(tunnel: Tunnel, daemon: FoundDaemon) -> str:
    """The daemon's version, by a request that carries the password."""
    client = DaemonClient(tunnel.url, username=daemon.username, password=daemon.password)
    return client.await_version(timeout=60)


def heard(decoy: Decoy) -> bytes:
    """All that a decoy was ever told."""
    return b"".join(decoy.received)


def test_a_container_on_the_hosts_network_needs_no_relay(host_network_engine: DockerEngine) -> None:
    with (
        daemon_on_this_network(host_network_engine) as (handler, daemon, _),
        handler.connect(daemon.port) as tunnel,
    ):
        assert tunnel.route_name == "direct"
        assert ask(tunnel, daemon)


def test_a_published_port_of_a_daemon_started_by_hand_needs_no_relay(docker_engine: DockerEngine) -> None:
    ports = {f"{IN_THE_CONTAINER}/tcp": ("127.0.0.1", 8123)}
    with docker_engine.container("published", network_mode="bridge", ports=ports) as container:
        start_by_hand(container, "0.0.0.0")  # noqa: S104

        assert visit_on(docker_engine, container="published")["route"] == "direct"


def test_a_published_port_leads_nowhere_where_the_daemon_listens_on_its_loopback(
    docker_engine: DockerEngine,
) -> None:
    ports = {f"{IN_THE_CONTAINER}/tcp": ("127.0.0.1", 8124)}
    with docker_engine.container("published", network_mode="bridge", ports=ports) as container:
        start_by_hand(container, "127.0.0.1")

        assert visit_on(docker_engine, container="published")["route"] == "relay"


def test_a_port_of_the_same_number_here_is_not_that_of_an_engine_elsewhere(
    docker_engine: DockerEngine,
) -> None:
    port = free_port()
    with (
        docker_engine.container("elsewhere", network_mode="host"),
        handler_for("elsewhere", host=docker_engine.url, daemon_port=port) as handler,
        decoy(port) as here,
    ):
        handler.start_daemon()

        assert visit(handler)["route"] == "relay"
        assert heard(here) == b""


def test_a_published_port_here_is_not_that_of_an_engine_elsewhere(docker_engine: DockerEngine) -> None:
    port = free_port()
    ports = {f"{IN_THE_CONTAINER}/tcp": ("127.0.0.1", port)}
    with (
        docker_engine.container("published", network_mode="bridge", ports=ports) as container,
        handler_for("published", host=docker_engine.url) as handler,
        decoy(port) as here,
    ):
        start_by_hand(container, "0.0.0.0")  # noqa: S104

        assert visit(handler)["route"] == "relay"
        assert heard(here) == b""
        assert here.received  # it was asked, and not told


def test_an_engine_on_another_machine_has_no_port_here(remote_engine: RemoteEngine) -> None:
    port = free_port()
    at: dict[str, Any] = {"host": remote_engine.url, "cert_path": str(remote_engine.certificates)}
    with (
        remote_engine.engine.container("far", network_mode="host"),
        handler_for("far", daemon_port=port, **at) as handler,
        decoy(port) as here,
    ):
        handler.start_daemon()

        assert visit(handler)["route"] == "relay"
        assert here.received == []


def test_a_program_that_takes_the_daemons_port_over_is_told_nothing(
    host_network_engine: DockerEngine,
) -> None:
    with (
        daemon_on_this_network(host_network_engine) as (handler, daemon, _),
        handler.connect(daemon.port) as tunnel,
    ):
        assert ask(tunnel, daemon)
        handler.stop_daemon()

        with (
            decoy(daemon.port) as usurper,
            socket.create_connection(("127.0.0.1", tunnel.port), 10) as client,
        ):
            client.sendall(b"GET /session HTTP/1.1\r\nHost: h\r\nAuthorization: Basic c2VjcmV0\r\n\r\n")
            wait_until(lambda: tunnel.lost, "the route to be given up")

        assert usurper.received
        assert heard(usurper) == b""


def test_a_program_beside_the_daemon_on_the_same_port_makes_it_the_relay(
    host_network_engine: DockerEngine,
) -> None:
    with (
        daemon_on_this_network(host_network_engine) as (handler, daemon, container),
        closing(container.network.listen(daemon.port, "127.0.0.2")),
    ):
        assert handler.check_daemon_running().running
        with handler.connect(daemon.port) as tunnel:
            assert tunnel.route_name == "relay"


def test_nothing_of_the_relay_that_was_not_needed_is_left(host_network_engine: DockerEngine) -> None:
    with (
        daemon_on_this_network(host_network_engine) as (handler, daemon, container),
        handler.connect(daemon.port),
    ):
        wait_until(lambda: "-e" not in container.run("ps", "-o", "args").stdout.split(), "the relay to end")
