"""Whom the user's known hosts vouch for, and what becomes of everybody else; OpenSSH itself is asked what it thinks."""

import shutil
import subprocess
from contextlib import nullcontext
from pathlib import Path

import pytest

from ocattach.errors import AuthenticationError, HostKeyError
from ocattach.transports.base import Question
from ocattach.transports.containers.engine_streams import EngineAddress, dialer
from tests.rigs.machine import PASSWORD, Machine
from tests.rigs.namespaces import run
from tests.rigs.ssh import SSHMachines
from tests.rigs.waiting import wait_until
from tests.ssh.conftest import Client, Person, is_connected


def public(machines: SSHMachines, name: str) -> str:
    """A machine's key: type and base64."""
    return " ".join(Path(f"{machines.host_key(name)}.pub").read_text().split()[:2])


def found(file: Path, name: str) -> bool:
    """Whether OpenSSH finds a host in a known_hosts file."""
    done = subprocess.run(["ssh-keygen", "-F", name, "-f", file], capture_output=True, check=False)
    return done.returncode == 0


def test_an_unknown_host_is_shown_as_ssh_shows_it_and_remembered(
    client: Client, machines: SSHMachines, main: Machine
) -> None:
    client.forget_hosts()
    person = Person(authenticity="yes")
    shown = run("ssh-keygen", "-l", "-f", f"{machines.host_key('main')}.pub").split()[1]

    assert client.greet("main", person) == "machine-main"
    assert shown.startswith("SHA256:")
    assert [shown in question.text and not question.secret for question in person.asked] == [True]
    assert found(client.known_hosts, main.address)
    assert client.greet("main") == "machine-main"


def test_what_is_remembered_is_hashed_where_the_user_wants_that(client: Client, main: Machine) -> None:
    client.forget_hosts("StrictHostKeyChecking ask\nHashKnownHosts yes")
    client.greet("main", Person(authenticity="yes"))

    assert main.address not in client.known_hosts.read_text()
    assert found(client.known_hosts, main.address)
    assert client.greet("main") == "machine-main"


def test_hashed_hosts_that_openssh_wrote_are_known(client: Client, main: Machine) -> None:
    shutil.copy(client.machines.known_hosts, client.known_hosts)
    run("ssh-keygen", "-q", "-H", "-f", client.known_hosts)
    assert main.address not in client.known_hosts.read_text()
    client.configure(f"UserKnownHostsFile {client.known_hosts}")

    assert client.greet("main") == "machine-main"


def test_a_host_on_another_port_is_remembered_with_it(client: Client, machines: SSHMachines) -> None:
    plain = machines.client_bin(client.folder / "plain") / "ssh"
    client.forget_hosts(f"StrictHostKeyChecking ask\nPort 2222\nProxyCommand {plain} -W localhost:22 main")
    client.greet("main", Person(authenticity="yes"))

    assert found(client.known_hosts, f"[{machines['main'].address}]:2222")
    assert not found(client.known_hosts, machines["main"].address)
    client.known_hosts.write_text(f"{machines['main'].address} {public(machines, 'main')}\n")
    assert client.greet("main") == "machine-main"


def test_several_files_count_and_the_first_learns(client: Client, machines: SSHMachines) -> None:
    first, second, system = (client.folder / name for name in ("first", "second", "system"))
    second.write_text(f"{machines['main'].address} {public(machines, 'main')}\n")
    system.write_text(f"{machines['jump'].address} {public(machines, 'jump')}\n")
    client.configure(
        f"UserKnownHostsFile {first} {second}\nGlobalKnownHostsFile {system}\nStrictHostKeyChecking ask"
    )

    assert client.greet("main") == "machine-main"
    assert client.greet("jump") == "machine-jump"
    assert not first.exists()
    assert client.greet("nofwd", Person(authenticity="yes")) == "machine-nofwd"
    assert found(first, machines["nofwd"].address)


def test_a_host_that_is_not_accepted_is_not_remembered_nor_logged_in_to(
    client: Client, main: Machine
) -> None:
    client.forget_hosts()
    before = main.log_ins
    with pytest.raises(HostKeyError, match="not accepted"):
        client.greet("main", Person(authenticity="no"))

    assert not client.known_hosts.exists()
    assert main.log_ins == before


@pytest.mark.parametrize("setting", ["no", "off", "accept-new"])
def test_new_hosts_are_taken_unasked_where_the_user_has_set_that(
    client: Client, main: Machine, setting: str
) -> None:
    client.forget_hosts(f"StrictHostKeyChecking {setting}")

    assert client.greet("main") == "machine-main"
    assert found(client.known_hosts, main.address)


def test_unknown_hosts_are_refused_where_the_user_has_set_that(client: Client, main: Machine) -> None:
    client.forget_hosts("StrictHostKeyChecking yes")
    before = main.log_ins
    with pytest.raises(HostKeyError, match="StrictHostKeyChecking is yes"):
        client.greet("main")

    assert main.log_ins == before


@pytest.mark.parametrize("setting", ["yes", "ask", "accept-new", "no", "off"])
def test_a_changed_key_is_refused_whatever_is_set(client: Client, main: Machine, setting: str) -> None:
    other = public(client.machines, "jump")
    client.known_hosts.write_text(f"# a comment\n{main.address} {other}\n")
    client.configure(f"UserKnownHostsFile {client.known_hosts}\nStrictHostKeyChecking {setting}")
    before = main.log_ins
    with pytest.raises(HostKeyError, match="has changed") as raised:
        client.greet("main")

    assert f"{client.known_hosts}, line 2" in raised.value.message
    assert f"ssh-keygen -f {client.known_hosts} -R {main.address}" in raised.value.hint
    assert main.log_ins == before


def test_a_revoked_key_is_refused_although_it_is_known(client: Client, main: Machine) -> None:
    key = public(client.machines, "main")
    client.known_hosts.write_text(f"{main.address} {key}\n@revoked * {key}\n")
    client.configure(f"UserKnownHostsFile {client.known_hosts}\nStrictHostKeyChecking no")

    with pytest.raises(HostKeyError, match="revoked"):
        client.greet("main")


@pytest.mark.parametrize("known", [True, False])
@pytest.mark.parametrize("name", ["{host}", "[{host}]:2222", "*"])
def test_a_key_that_is_revoked_for_a_host_is_refused_at_its_other_ports(
    client: Client, machines: SSHMachines, name: str, *, known: bool
) -> None:
    host, key = machines["main"].address, public(machines, "main")
    plain = machines.client_bin(client.folder / "plain") / "ssh"
    client.forget_hosts(f"StrictHostKeyChecking no\nPort 2222\nProxyCommand {plain} -W localhost:22 main")
    at_port = f"[{host}]:2222 {key}\n" if known else ""
    client.known_hosts.write_text(f"{at_port}@revoked {name.format(host=host)} {key}\n")

    with pytest.raises(HostKeyError, match="revoked"):
        client.greet("main")


@pytest.mark.parametrize("kind", ["list of keys", "revocation list"])
def test_keys_in_a_file_of_revoked_ones_are_refused(client: Client, kind: str) -> None:
    revoked = client.folder / "revoked"
    key = f"{client.machines.host_key('main')}.pub"
    if kind == "list of keys":
        shutil.copy(key, revoked)
    else:
        run("ssh-keygen", "-q", "-k", "-f", revoked, key)
    client.configure(f"RevokedHostKeys {revoked}")

    with pytest.raises(HostKeyError, match=f"revoked .*{revoked}"):
        client.greet("main")
    assert client.greet("jump") == "machine-jump"


def test_no_host_is_trusted_when_the_revoked_keys_cannot_be_read(client: Client) -> None:
    client.configure(f"RevokedHostKeys {client.folder}/gone")

    with pytest.raises(HostKeyError, match="gone"):
        client.greet("main")


def authority(client: Client) -> str:
    return Path(f"{client.machines.authority}.pub").read_text().strip()


def test_a_host_that_a_known_authority_has_signed_is_known(client: Client, machines: SSHMachines) -> None:
    client.known_hosts.write_text(f"@cert-authority {machines['certified'].address} {authority(client)}\n")
    key = client.make_key()
    machines.sign(key, "-n", machines.user)
    client.configure(f"UserKnownHostsFile {client.known_hosts}", identity=key)

    assert client.greet("certified") == "machine-certified"


def test_an_authority_vouches_for_the_hosts_it_is_named_for(client: Client) -> None:
    client.known_hosts.write_text(f"@cert-authority *.example {authority(client)}\n")
    client.configure(f"UserKnownHostsFile {client.known_hosts}\nStrictHostKeyChecking yes")

    with pytest.raises(HostKeyError, match="not known"):
        client.greet("certified")


def test_a_revoked_authority_vouches_for_nobody(client: Client) -> None:
    key = authority(client)
    client.known_hosts.write_text(f"@cert-authority * {key}\n@revoked * {key}\n")
    client.configure(f"UserKnownHostsFile {client.known_hosts}")

    with pytest.raises(HostKeyError, match="revoked"):
        client.greet("certified")


def test_a_host_that_hangs_up_while_somebody_looks_at_its_key_is_dialled_again(client: Client) -> None:
    client.forget_hosts()

    person = Person(authenticity="yes", password=PASSWORD)
    address = client.machines["hasty"].address

    def take_time(question: Question) -> str:
        if "authenticity" in question.text:
            assert is_connected(address)
            wait_until(lambda: not is_connected(address), "the host to hang up")
        return person(question)

    assert client.greet("hasty", take_time) == "machine-hasty"


def test_nobody_is_asked_in_batch_mode(client: Client) -> None:
    client.forget_hosts("StrictHostKeyChecking ask\nBatchMode yes")

    with pytest.raises(AuthenticationError, match="not known yet") as raised:
        client.greet("main")
    assert "ssh main" in raised.value.hint


@pytest.mark.parametrize("is_machine", [True, False])
def test_only_the_virtual_machine_of_podman_on_this_machine_may_show_any_key(
    client: Client, main: Machine, *, is_machine: bool
) -> None:
    """As podman does for connections with IsMachine (containers/common, pkg/ssh)."""
    plain = client.machines.client_bin(client.folder / "plain") / "ssh"
    client.forget_hosts(f"StrictHostKeyChecking yes\nProxyCommand {plain} -W localhost:22 main")
    address = EngineAddress("ssh://127.0.0.1:2222/run/podman/podman.sock", is_machine=is_machine)
    before = main.log_ins
    host = dialer(address, program="podman", ask=Person, timeout=20, remembers=True)
    try:
        with nullcontext() if is_machine else pytest.raises(HostKeyError):
            host.dial(20).close()
    finally:
        host.close()

    assert main.log_ins >= before + (2 if is_machine else 1), "the proxy logs in, too"
    assert not client.known_hosts.exists()


@pytest.mark.parametrize("setting", ["StrictHostKeyChecking yes", "StrictHostKeyChecking no"])
def test_the_key_of_a_jump_host_is_checked_as_the_user_has_set_that_whatever_the_host_may_show(
    client: Client, machines: SSHMachines, setting: str
) -> None:
    known = client.folder / "known"
    client.configure(f"Host jump\n  UserKnownHostsFile {known}\n  {setting}\nHost *")
    with client.handler("inner") as handler:
        handler.checks_host_key = False
        with nullcontext() if setting.endswith("no") else pytest.raises(HostKeyError, match="not known"):
            assert handler.run(["hostname"], timeout=60).stdout == b"machine-inner\n"
    assert known.exists() == setting.endswith("no")

    stranger = f"{machines['inner'].address} {public(machines, 'main')}\n"
    known.write_text(client.machines.known_hosts.read_text())
    wrong = client.folder / "wrong"
    wrong.write_text(stranger)
    client.configure(f"Host jump\n  UserKnownHostsFile {known}\n  {setting}\nHost *", known_hosts=wrong)
    with pytest.raises(HostKeyError, match="has changed"):
        client.greet("inner")


def test_a_mark_for_a_virtual_machine_means_nothing_elsewhere(client: Client, main: Machine) -> None:
    client.forget_hosts("StrictHostKeyChecking yes")
    address = EngineAddress(f"ssh://{main.address}/run/podman/podman.sock", is_machine=True)
    host = dialer(address, program="podman", ask=Person, timeout=20, remembers=True)

    with pytest.raises(HostKeyError):
        host.dial(20)
    host.close()


def test_work_that_only_reads_knows_the_users_hosts_and_adds_none(client: Client, main: Machine) -> None:
    known = client.folder / "my known hosts"
    known.write_text(f"{main.address} {public(client.machines, 'jump')}\n")
    client.configure(f'UserKnownHostsFile "{known}"\nStrictHostKeyChecking accept-new')
    before = known.read_text()

    for host, expected in (
        ("main", pytest.raises(HostKeyError, match="has changed")),
        ("jump", nullcontext()),
    ):
        handler = client.handler(host)
        handler.remembers = False
        with expected, handler:
            handler.check_available()

    assert known.read_text() == before
