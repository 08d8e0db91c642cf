"""Kerberos tickets log in without a question."""

from collections.abc import Iterator

import pytest

from ocattach.errors import AuthenticationError
from tests.rigs.availability import require
from tests.rigs.directories import short_directory
from tests.rigs.kerberos import SERVER_CONFIGURATION, Realm
from tests.rigs.machine import PASSWORD, USER, Machine
from tests.rigs.ssh import Kind, SSHMachines
from tests.ssh.conftest import NO_KEYS, Client

KEYTAB = "/run/machine/keytab"
KINDS = {
    "kerberos": Kind(
        settings=f"GSSAPIAuthentication yes\nGSSAPIStrictAcceptorCheck no\n{NO_KEYS}{Kind().settings}",
        files={"krb5.conf": SERVER_CONFIGURATION},
        server=("env", "KRB5_CONFIG=/run/machine/krb5.conf", f"KRB5_KTNAME={KEYTAB}", *Kind().server),
        has_opencode=False,
    )
}


@pytest.fixture(scope="module")
def realm() -> Iterator[Realm]:
    """A realm with an account for the user."""
    with require("ssh-variants"), short_directory() as directory, Realm(directory) as realm:
        realm.add_user(USER, PASSWORD)
        yield realm


@pytest.fixture(scope="module")
def machines(realm: Realm) -> Iterator[SSHMachines]:
    """A machine of the realm."""
    with require("ssh"), short_directory() as directory, SSHMachines(directory, kinds=KINDS) as machines:
        machine = machines["kerberos"]
        machine.confined.path(KEYTAB).write_bytes(realm.add_host(machine.address))
        yield machines


@pytest.fixture
def kerberos(realm: Realm, machines: SSHMachines, client: Client, monkeypatch: pytest.MonkeyPatch) -> Machine:
    """The machine, to which the laptop would log in by a ticket."""
    for name, value in realm.environment.items():
        monkeypatch.setenv(name, value)
    client.configure("GSSAPIAuthentication yes")
    return machines["kerberos"]


def test_a_ticket_opens_the_host(client: Client, kerberos: Machine, realm: Realm) -> None:
    realm.log_in(USER, PASSWORD)

    assert client.greet("kerberos") == "machine-kerberos"
    assert "Accepted gssapi-with-mic for tester" in kerberos.log.read_text()


@pytest.mark.usefixtures("kerberos")
def test_without_a_ticket_the_error_says_what_the_host_accepts(client: Client, realm: Realm) -> None:
    (realm.directory / "tickets").unlink(missing_ok=True)

    with pytest.raises(AuthenticationError, match="gssapi"):
        client.greet("kerberos")
