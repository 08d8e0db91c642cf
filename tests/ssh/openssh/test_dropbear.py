"""Dropbear, the ssh server of small machines, in the place of sshd."""

from collections.abc import Iterator

import pytest

from tests.contract.servers import echo, send_and_receive, serve
from tests.contract.test_commands import ARGUMENTS
from tests.rigs.availability import need, require
from tests.rigs.directories import short_directory
from tests.rigs.machine import HOME, PASSWORD
from tests.rigs.ssh import Kind, SSHMachines
from tests.ssh.conftest import Client, Person

CONVERT = "dropbearconvert openssh dropbear /run/machine/host_key /run/machine/dropbear_key"


def dropbear(options: str) -> Kind:
    """A machine with dropbear."""
    start = f"{CONVERT}; exec dropbear -F -E -r /run/machine/dropbear_key -p 22 {options}"
    return Kind(server=("sh", "-ec", start))


KINDS = {"small": dropbear("-j -k")}


@pytest.fixture(scope="module")
def machines(opencode_bin: str) -> Iterator[SSHMachines]:  # noqa: ARG001 - they mount it
    """Machines with dropbear."""
    with require("ssh"), require("ssh-variants"), short_directory() as directory:
        need("dropbear", "dropbearconvert")
        with SSHMachines(directory, kinds=KINDS) as machines:
            yield machines


def test_dropbear_runs_commands_and_leads_to_its_ports(client: Client, machines: SSHMachines) -> None:
    small = machines["small"]
    log_ins = small.log_ins
    script = r'cat; for word; do printf "%s\0" "$word"; done; exit 7'
    with (
        serve(small.network, echo, home=small.confined.path(HOME)) as port,
        client.handler("small") as handler,
    ):
        result = handler.run(["sh", "-c", script, "sh", *ARGUMENTS], stdin=b"given\0", timeout=60)
        assert (result.exit_code, result.stdout.decode().split("\0")[:-1]) == (7, ["given", *ARGUMENTS])
        with handler.connect(port) as tunnel:
            assert send_and_receive(tunnel.port, b"there and back") == b"there and back"
    assert small.log_ins == log_ins + 1


def test_dropbear_asks_for_a_password(client: Client) -> None:
    client.configure("PubkeyAuthentication no")
    person = Person(password=PASSWORD)

    assert client.greet("small", person) == "machine-small"
    assert [asked.secret for asked in person.asked] == [True]
