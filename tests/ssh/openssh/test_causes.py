"""Why a host cannot be reached or logged in to: each cause has its class, its words, and the host that it concerns."""

import socket
from collections.abc import Iterator

import pytest

from ocattach.errors import AuthenticationError, OcattachError, TimedOutError, UnreachableError
from ocattach.transports.base import NoPerson
from tests.rigs.ssh import SSHMachines
from tests.ssh.conftest import Client

NOBODY = NoPerson("Nobody answers")


@pytest.fixture
def silent_port() -> Iterator[int]:
    """A port that accepts connections and says nothing."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        yield server.getsockname()[1]


def failure(
    client: Client, host: str, kind: type[OcattachError], *, timeout: float = 20, **entry: object
) -> str:
    """The message of the error of this very class."""
    handler = client.handler(host, NOBODY, **entry)
    handler.timeout = timeout
    with handler, pytest.raises(kind) as raised:
        handler.check_available()
    assert raised.type is kind
    assert raised.value.hint
    return raised.value.message


def test_a_name_that_nothing_has(client: Client) -> None:
    assert "No host named nothing.invalid" in failure(client, "nothing.invalid", UnreachableError)


def test_a_port_that_is_closed(client: Client) -> None:
    message = failure(client, "main", UnreachableError, port=9)

    assert (
        message == f"Cannot connect to main ({client.machines['main'].address}), port 9: Connection refused"
    )


def test_a_host_that_says_nothing(client: Client, silent_port: int) -> None:
    client.configure("ConnectTimeout 20")

    assert "did not answer in 1 s" in failure(client, "127.0.0.1", TimedOutError, port=silent_port, timeout=1)


def test_a_host_that_is_slower_than_the_user_allows(client: Client, silent_port: int) -> None:
    client.configure("ConnectTimeout 1")

    assert "did not answer" in failure(client, "127.0.0.1", TimedOutError, port=silent_port)


def test_a_key_that_is_not_accepted(client: Client) -> None:
    client.configure(identity=client.machines.stranger_identity)

    assert failure(client, "main", AuthenticationError) == (
        f"main ({client.machines['main'].address}) did not accept tester (it accepts: publickey)"
    )


def test_a_jump_host_whose_name_nothing_has(client: Client) -> None:
    message = failure(client, "main", UnreachableError, jump="nothing.invalid")

    assert message.startswith("jump host nothing.invalid: No host named nothing.invalid")


def test_a_jump_host_that_is_closed(client: Client) -> None:
    message = failure(client, "ten", UnreachableError, jump="main:9")

    assert message.startswith("Cannot connect to jump host main:9: ten")
    assert message.endswith("port 9: Connection refused")


def test_a_jump_host_that_does_not_accept_the_login(client: Client, machines: SSHMachines) -> None:
    client.configure(f"Host strict\n  HostName {machines['main'].address}\n  User nobody-there\nHost *")

    message = failure(client, "ten", AuthenticationError, jump="strict")

    assert message == "jump host strict: did not accept nobody-there (it accepts: publickey)"


def test_a_port_that_the_jump_host_cannot_reach(client: Client) -> None:
    message = failure(client, "ten", UnreachableError, jump="main", port=9)

    assert message.startswith("The jump host main cannot connect to ten")
    assert ", port 9: " in message


def test_the_words_of_ssh_where_the_cause_is_not_known(client: Client) -> None:
    client.configure("Host odd\n  ProxyCommand sh -c 'echo the stars are wrong >&2; exit 3'\nHost *")

    assert "the stars are wrong" in failure(client, "odd", UnreachableError)
