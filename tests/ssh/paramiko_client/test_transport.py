"""The ssh transport on a machine without an ssh program: the whole way to a port of the host."""

import pytest

from ocattach.config.spec import ConnectionSpec
from ocattach.transports.ssh.paramiko.connection import ParamikoConnection
from ocattach.transports.ssh.transport import SSHTransport
from tests.contract.servers import echo, send_and_receive, serve
from tests.rigs.machine import HOME
from tests.rigs.ssh import SSHMachines
from tests.ssh.conftest import Person
from tests.ssh.paramiko_client.conftest import Laptop


@pytest.fixture
def _no_ssh(laptop: Laptop, monkeypatch: pytest.MonkeyPatch) -> None:
    empty = laptop.folder / "empty"
    empty.mkdir()
    monkeypatch.setenv("PATH", str(empty))


@pytest.mark.usefixtures("_no_ssh")
@pytest.mark.parametrize("host", ["nofwd", "narrow"])
def test_a_port_of_a_host_is_reached_and_commands_go_on(machines: SSHMachines, host: str) -> None:
    spec = ConnectionSpec.from_entry({"transport": "ssh", "host": host})
    with (
        serve(machines[host].network, echo, home=machines[host].confined.path(HOME)) as port,
        SSHTransport(spec, ask=Person(), timeout=30) as handler,
    ):
        assert isinstance(handler.connection, ParamikoConnection)
        assert handler.check_available().summary == f"Logged in to {machines[host].address} as tester"
        with handler.connect(port) as tunnel:
            assert tunnel.route_name == "relay"
            assert send_and_receive(tunnel.port, b"there and back") == b"there and back"
            for _ in range(3):
                assert handler.run(["hostname"], timeout=60).stdout.decode().strip() == f"machine-{host}"


@pytest.mark.usefixtures("_no_ssh")
def test_several_handlers_share_a_connection(laptop: Laptop, machines: SSHMachines) -> None:
    laptop.configure(f"Host other\n  HostName {machines['main'].address}\nHost *")
    specs = [ConnectionSpec.from_entry({"transport": "ssh", "host": host}) for host in ("main", "other")]
    with (
        SSHTransport(specs[0], ask=Person(), timeout=30) as first,
        SSHTransport(specs[1], ask=Person(), timeout=30) as second,
    ):
        assert first.connection_key() == second.connection_key()
        before = machines["main"].log_ins
        first.open_connection()
        second.share(first)
        assert second.run(["hostname"], timeout=60).stdout == b"machine-main\n"
        assert machines["main"].log_ins == before + 1
