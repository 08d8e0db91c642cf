"""Another account in the environment takes the port of a daemon that has ended."""

import socket

import pytest

from tests.contract.servers import echo, send_and_receive, serve
from tests.environments import Environment
from tests.rigs.waiting import wait_until

STRANGER = 54321


@pytest.fixture(scope="module")
def environment(shared_environment: Environment) -> Environment:
    """One for all: nothing is left there."""
    return shared_environment


def test_another_account_on_the_daemons_port_gets_not_one_byte(environment: Environment) -> None:
    received = bytearray()

    def record(connection: socket.socket) -> None:
        while data := connection.recv(65536):
            received.extend(data)

    with environment.handler() as handler:
        with serve(environment.network, echo, home=environment.home) as port:
            tunnel = handler.connect(port)
            assert send_and_receive(tunnel.port, b"hello") == b"hello"
        with (
            serve(environment.network, record, port=port, uid=STRANGER),
            socket.create_connection(("127.0.0.1", tunnel.port)) as client,
        ):
            client.sendall(b"secret")
            wait_until(lambda: tunnel.lost is not None, "the port to be found another account's")
            handler.disconnect()

    assert not received
