"""Which hosts paramiko's client trusts: those that known_hosts vouches for, by OpenSSH's own reading of the files."""

import base64
import socket
import subprocess
from collections.abc import Iterator
from pathlib import Path

import paramiko
import pytest

from ocattach.config.targets.ssh import SSHTarget
from ocattach.errors import HostKeyError
from ocattach.transports.base import Question
from ocattach.transports.ssh.paramiko.config import HostConfig
from ocattach.transports.ssh.paramiko.known_hosts import check_host_key, known_keys
from tests.rigs.machine import PASSWORD, Machine
from tests.rigs.namespaces import run
from tests.rigs.waiting import wait_until
from tests.ssh.conftest import Person, is_connected
from tests.ssh.paramiko_client.conftest import Laptop, public


def found(file: Path, name: str) -> bool:
    """Whether OpenSSH finds a host in a known_hosts file."""
    done = subprocess.run(["ssh-keygen", "-F", name, "-f", file], capture_output=True, check=False)
    return done.returncode == 0


def test_an_unknown_host_is_shown_as_ssh_shows_it_and_remembered(laptop: Laptop, main: Machine) -> None:
    laptop.forget_hosts()
    person = Person(authenticity="yes")
    shown = run("ssh-keygen", "-l", "-f", f"{laptop.machines.host_key('main')}.pub").split()[1]

    assert laptop.greet("main", person) == "machine-main"
    assert shown.startswith("SHA256:")
    assert [shown in question.text and question.confirm for question in person.asked] == [True]
    assert found(laptop.known_hosts, main.address)
    assert laptop.greet("main") == "machine-main"


@pytest.mark.parametrize("hashed", ["yes", "no"])
def test_a_host_is_remembered_hashed_if_the_user_wants_that(
    laptop: Laptop, main: Machine, hashed: str
) -> None:
    laptop.forget_hosts(f"StrictHostKeyChecking ask\nHashKnownHosts {hashed}")
    laptop.known_hosts.write_text("other.example ssh-ed25519 AAAA")
    laptop.greet("main", Person(authenticity="yes"))

    lines = laptop.known_hosts.read_text().splitlines()
    assert lines[0] == "other.example ssh-ed25519 AAAA", "a line without an end keeps its own"
    assert (main.address in lines[1]) == (hashed == "no")
    assert found(laptop.known_hosts, main.address)
    assert laptop.greet("main") == "machine-main"


def test_hashed_hosts_that_openssh_wrote_are_known(laptop: Laptop, main: Machine) -> None:
    run("ssh-keygen", "-q", "-H", "-f", laptop.known_hosts)
    assert main.address not in laptop.known_hosts.read_text()

    assert laptop.greet("main") == "machine-main"


@pytest.mark.parametrize("names", ["{host},other", "10.*,!10.0.0.1", "OTHER,{host}", "*,!other"])
def test_names_in_known_hosts_are_patterns(laptop: Laptop, main: Machine, names: str) -> None:
    names = names.format(host=main.address).replace("10.*", main.address[:-1] + "?")
    laptop.known_hosts.write_text(f"{names} {public(laptop.machines, 'main')}\n")
    assert laptop.greet("main") == "machine-main"

    laptop.known_hosts.write_text(f"*,!{main.address} {public(laptop.machines, 'main')}\n")
    with pytest.raises(HostKeyError, match="not known"):
        laptop.greet("main")


def test_several_files_count_and_the_first_learns(laptop: Laptop) -> None:
    first, second, system = (laptop.folder / name for name in ("first", "second", "system"))
    for name, file in (("main", second), ("jump", system)):
        file.write_text(f"{laptop.machines[name].address} {public(laptop.machines, name)}\n")
    laptop.configure(
        f"UserKnownHostsFile {first} {second}\nGlobalKnownHostsFile {system}\nStrictHostKeyChecking ask"
    )

    assert laptop.greet("main") == "machine-main"
    assert laptop.greet("jump") == "machine-jump"
    assert not first.exists()
    assert laptop.greet("nofwd", Person(authenticity="yes")) == "machine-nofwd"
    assert found(first, laptop.machines["nofwd"].address)


def test_a_host_that_is_not_accepted_is_not_remembered_nor_logged_in_to(
    laptop: Laptop, main: Machine
) -> None:
    laptop.forget_hosts()
    before = main.log_ins
    with pytest.raises(HostKeyError, match="not accepted"):
        laptop.greet("main", Person(authenticity="no"))

    assert not laptop.known_hosts.exists()
    assert main.log_ins == before


def test_without_remembering_an_unknown_host_is_refused_unasked(laptop: Laptop) -> None:
    laptop.forget_hosts()
    with pytest.raises(HostKeyError, match="not known yet"):
        laptop.greet("main", remembers=False)

    laptop.configure("StrictHostKeyChecking no")
    assert laptop.greet("main", remembers=False) == "machine-main"
    assert not laptop.known_hosts.exists()


@pytest.mark.parametrize("setting", ["no", "off", "accept-new", "Accept-New"])
def test_new_hosts_are_taken_unasked_if_the_user_has_set_that(
    laptop: Laptop, main: Machine, setting: str
) -> None:
    laptop.forget_hosts(f"StrictHostKeyChecking {setting}")

    assert laptop.greet("main") == "machine-main"
    assert found(laptop.known_hosts, main.address)


@pytest.mark.parametrize("setting", ["yes", "no-such-value"])
def test_unknown_hosts_are_refused_if_the_user_has_set_that(
    laptop: Laptop, main: Machine, setting: str
) -> None:
    laptop.forget_hosts(f"StrictHostKeyChecking {setting}")
    before = main.log_ins
    with pytest.raises(HostKeyError, match="StrictHostKeyChecking is yes"):
        laptop.greet("main")

    assert main.log_ins == before


def test_nobody_is_asked_in_batch_mode(laptop: Laptop) -> None:
    laptop.forget_hosts("StrictHostKeyChecking ask\nBatchMode yes")

    with pytest.raises(HostKeyError, match="SHA256:"):
        laptop.greet("main")


@pytest.mark.parametrize("setting", ["yes", "ask", "accept-new", "no"])
def test_a_changed_key_is_refused_whatever_is_set(laptop: Laptop, main: Machine, setting: str) -> None:
    laptop.known_hosts.write_text(f"# a comment\n{main.address} {public(laptop.machines, 'jump')}\n")
    laptop.configure(f"StrictHostKeyChecking {setting}")
    before = main.log_ins
    with pytest.raises(HostKeyError, match="has changed") as raised:
        laptop.greet("main")

    assert f"{laptop.known_hosts}, line 2" in raised.value.message
    assert main.log_ins == before


@pytest.fixture
def port(laptop: Laptop) -> Iterator[int]:
    """A port of this machine that leads to the ssh server of the plain one."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        number = int(server.getsockname()[1])
    forward = f"127.0.0.1:{number}:localhost:22"
    with subprocess.Popen([laptop.machines.bin / "ssh", "-N", "-L", forward, "main"]) as ssh:
        wait_until(lambda: is_served(number), "the forwarding")
        yield number
        ssh.terminate()


def is_served(port: int) -> bool:
    try:
        socket.create_connection(("127.0.0.1", port), 1).close()
    except OSError:
        return False
    return True


def test_a_host_at_another_port_is_remembered_with_it(laptop: Laptop, port: int) -> None:
    laptop.forget_hosts()
    assert laptop.greet("127.0.0.1", Person(authenticity="yes"), port=port) == "machine-main"

    assert found(laptop.known_hosts, f"[127.0.0.1]:{port}")
    assert not found(laptop.known_hosts, "127.0.0.1")
    assert laptop.greet("127.0.0.1", port=port) == "machine-main"


def test_a_host_that_is_known_at_its_standard_port_is_known_at_others(laptop: Laptop, port: int) -> None:
    laptop.known_hosts.write_text(f"127.0.0.1 {public(laptop.machines, 'main')}\n")

    assert laptop.greet("127.0.0.1", port=port) == "machine-main"


@pytest.mark.parametrize("known", [True, False])
@pytest.mark.parametrize(
    "name", ["127.0.0.1", "[127.0.0.1]:{port}", "*", "elsewhere.example", "|1|AAAA|AAAA"]
)
def test_a_key_that_is_revoked_for_any_host_is_refused_at_every_port(
    laptop: Laptop, port: int, name: str, *, known: bool
) -> None:
    key = public(laptop.machines, "main")
    at_port = f"[127.0.0.1]:{port} {key}\n" if known else ""
    laptop.known_hosts.write_text(f"{at_port}@revoked {name.format(port=port)} {key}\n")
    laptop.configure("StrictHostKeyChecking no")

    with pytest.raises(HostKeyError, match="revoked"):
        laptop.greet("127.0.0.1", port=port)


def test_the_name_of_an_alias_is_what_known_hosts_are_searched_for(laptop: Laptop, main: Machine) -> None:
    laptop.known_hosts.write_text(f"a-name-of-its-own {public(laptop.machines, 'main')}\n")
    laptop.configure(f"Host other\n  HostName {main.address}\n  HostKeyAlias a-name-of-its-own\nHost *")

    assert laptop.greet("other") == "machine-main"


def test_a_revoked_key_is_refused_although_it_is_known(laptop: Laptop, main: Machine) -> None:
    key = public(laptop.machines, "main")
    laptop.known_hosts.write_text(f"{main.address} {key}\n@revoked * {key}\n")
    laptop.configure("StrictHostKeyChecking no")

    with pytest.raises(HostKeyError, match=r"revoked .*line 2"):
        laptop.greet("main")


def test_known_hosts_that_cannot_be_read_are_an_error(laptop: Laptop) -> None:
    laptop.configure(f"UserKnownHostsFile {laptop.folder}")

    with pytest.raises(HostKeyError, match="cannot be read"):
        laptop.greet("main")


def authority(laptop: Laptop) -> str:
    return Path(f"{laptop.machines.authority}.pub").read_text().strip()


def certify(laptop: Laptop) -> None:
    """Give the user a key that the authority's machine accepts."""
    key = laptop.make_key()
    laptop.machines.sign(key, "-n", laptop.machines.user)
    laptop.configure(identity=key)


@pytest.mark.parametrize("names", ["{host}", "*", "{host} ssh-rsa AAAA\n@cert-authority {host}"])
def test_a_host_that_a_known_authority_has_signed_is_known(laptop: Laptop, names: str) -> None:
    certify(laptop)
    names = names.format(host=laptop.machines["certified"].address)
    laptop.known_hosts.write_text(f"@cert-authority {names} {authority(laptop)}\n")

    assert laptop.greet("certified") == "machine-certified"


def test_a_host_with_a_certificate_is_known_by_its_plain_key_too(laptop: Laptop) -> None:
    certify(laptop)

    assert laptop.greet("certified") == "machine-certified"


def test_an_authority_vouches_for_the_hosts_it_is_named_for(laptop: Laptop) -> None:
    laptop.known_hosts.write_text(f"@cert-authority *.example {authority(laptop)}\n")

    with pytest.raises(HostKeyError, match="not known"):
        laptop.greet("certified")


def test_a_revoked_authority_vouches_for_nobody(laptop: Laptop) -> None:
    laptop.known_hosts.write_text(f"@cert-authority * {authority(laptop)}\n@revoked * {authority(laptop)}\n")

    with pytest.raises(HostKeyError, match="revoked"):
        laptop.greet("certified")


DEFECTS = {
    "is one for users": ("-n", "127.0.0.1"),
    "is not valid at this time": ("-h", "-V", "19700101:19700102"),
    "is for other.example": ("-h", "-n", "other.example"),
}


@pytest.mark.parametrize("defect", [*DEFECTS, "is forged", "is signed with SHA-1"])
def test_a_certificate_with_a_defect_proves_nothing(laptop: Laptop, defect: str) -> None:
    kind = ("-t", "rsa") if "SHA-1" in defect else ("-t", "ed25519")
    key, signer = laptop.make_key("host"), laptop.make_key("signer", options=kind)
    options = DEFECTS.get(defect, ("-h", *(("-t", "ssh-rsa") if "SHA-1" in defect else ())))
    run("ssh-keygen", "-q", "-s", signer, "-I", "host", *options, f"{key}.pub")
    blob = base64.b64decode(key.with_name("host-cert.pub").read_text().split()[1])
    if "forged" in defect:
        blob = blob[:-1] + bytes([blob[-1] ^ 1])
    shown = paramiko.Ed25519Key(paramiko.Message(blob))
    laptop.known_hosts.write_text(f"@cert-authority * {Path(f'{signer}.pub').read_text()}")
    host = HostConfig(SSHTarget("127.0.0.1"))

    with pytest.raises(HostKeyError, match=defect):
        check_host_key(host, shown, list(known_keys(host.known_hosts)), None)


def test_a_host_that_hangs_up_while_the_user_reads_its_key_is_dialled_again(laptop: Laptop) -> None:
    laptop.forget_hosts()
    person = Person(authenticity="yes", password=PASSWORD)
    address = laptop.machines["hasty"].address

    def take_time(question: Question) -> str:
        if question.confirm:
            assert is_connected(address)
            wait_until(lambda: not is_connected(address), "the host to hang up")
        return person(question)

    assert laptop.greet("hasty", take_time) == "machine-hasty"
