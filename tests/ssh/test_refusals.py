"""Hosts that do not do everything: no forwarding, few sessions, few log-ins at once."""

import socket
import threading

import pytest

from ocattach.errors import UnreachableError
from tests.contract.servers import echo, send_and_receive, serve
from tests.rigs.machine import HOME
from tests.rigs.ssh import SSHMachines
from tests.ssh.conftest import Client


@pytest.mark.parametrize("host", ["nofwd", "narrow", "narrow-nofwd"])
def test_a_tunnel_comes_up_and_commands_go_on(client: Client, machines: SSHMachines, host: str) -> None:
    with (
        serve(machines[host].network, echo, home=machines[host].confined.path(HOME)) as port,
        client.handler(host) as handler,
    ):
        for _ in range(5):
            assert handler.run(["echo", "one after the other"], timeout=60).exit_code == 0
        with handler.connect(port) as tunnel:
            assert tunnel.route_name == "relay"
            assert send_and_receive(tunnel.port, b"there and back") == b"there and back"
            for _ in range(3):
                assert handler.run(["hostname"], timeout=60).stdout.decode().strip() == f"machine-{host}"


@pytest.mark.parametrize("host", ["narrow", "narrow-nofwd"])
def test_a_host_of_one_session_has_its_daemon_started_and_reached(client: Client, host: str) -> None:
    with client.handler(host) as handler:
        handler.prepare_tunnel()
        daemon = handler.start_daemon().daemon
        assert daemon is not None
    with client.handler(host) as handler:
        handler.prepare_tunnel()
        assert handler.check_daemon_running().daemon == daemon
        with handler.connect(daemon.port) as tunnel, socket.create_connection(("127.0.0.1", tunnel.port), 10):
            assert handler.check_daemon_running().daemon == daemon
            handler.stop_daemon()


def test_a_host_that_is_busy_with_others_log_ins_is_tried_again(
    client: Client, machines: SSHMachines
) -> None:
    with socket.create_connection((machines["busy"].address, 22), 10) as other:
        other.recv(64)
        # It hangs up on the other one soon, who does not log in (LoginGraceTime).
        assert client.greet("busy") == "machine-busy"


def test_a_host_that_hangs_up_without_a_word_is_told(client: Client) -> None:
    def hang_up(server: socket.socket) -> None:
        while True:
            try:
                server.accept()[0].close()
            except OSError:
                return

    with socket.create_server(("127.0.0.1", 0)) as server:
        thread = threading.Thread(target=hang_up, args=(server,))
        thread.start()
        try:
            with pytest.raises(UnreachableError, match="port"):
                client.greet("127.0.0.1", port=server.getsockname()[1])
        finally:
            server.shutdown(socket.SHUT_RDWR)
            thread.join()
