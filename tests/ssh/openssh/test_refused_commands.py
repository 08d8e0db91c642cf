"""Hosts that log in but run no command of ours: the error has the host's words."""

from collections.abc import Iterator

import pytest

from ocattach.errors import OcattachError
from tests.rigs.machine import PASSWORD, Machine
from tests.rigs.ssh import SSHMachines
from tests.ssh.conftest import Client, Person
from tests.ssh.openssh.conftest import CLOSED


@pytest.fixture
def closed(machines: SSHMachines) -> Iterator[Machine]:
    """A machine that is closed for users (pam_nologin(8)); its /run is its own."""
    notice = machines["closed"].confined.path("/run/nologin")
    notice.write_text(f"{CLOSED}\n")
    yield machines["closed"]
    notice.unlink()


def test_a_command_that_the_host_runs_in_the_place_of_ours_is_shown(client: Client) -> None:
    with pytest.raises(OcattachError, match="This host only makes backups"):
        client.greet("forced")


@pytest.mark.parametrize(
    ("shell", "words"),
    [
        ("/usr/sbin/nologin", "This account is currently not available"),
        ("/bin/false", "said: nothing"),
        ("/no/such/shell", r"/no/such/shell|did not accept"),
    ],
)
def test_an_account_without_a_shell_is_reported(
    client: Client, main: Machine, shell: str, words: str
) -> None:
    main.set_shell(shell)

    with pytest.raises(OcattachError, match=words):
        client.greet("main")


@pytest.mark.usefixtures("closed")
@pytest.mark.parametrize("identity", ["key", "password"])
def test_a_host_that_is_closed_is_reported_in_its_words(client: Client, identity: str) -> None:
    client.configure("PubkeyAuthentication no" if identity == "password" else "")

    with pytest.raises(OcattachError, match=CLOSED):
        client.greet("closed", Person(password=PASSWORD))
