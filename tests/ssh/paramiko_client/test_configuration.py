"""What paramiko's client takes from the user's ssh configuration, and what it says to need OpenSSH for."""

import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from ocattach.config.targets.ssh import SSHTarget
from ocattach.errors import ConfigurationError, TimedOutError, UnreachableError, UsageError
from ocattach.transports.ssh.paramiko.connection import ParamikoConnection
from tests.rigs.machine import Machine
from tests.rigs.ssh import SSHMachines
from tests.ssh.conftest import Person
from tests.ssh.paramiko_client.conftest import Laptop, run_on

NEEDS_OPENSSH = {
    "ProxyCommand": "nc %h %p",
    "KnownHostsCommand": "/usr/bin/true",
    "RevokedHostKeys": "/etc/ssh/revoked",
    "VerifyHostKeyDNS": "yes",
    "PKCS11Provider": "/usr/lib/opensc.so",
    "CertificateFile": "~/.ssh/a-cert.pub",
    "BindAddress": "127.0.0.1",
    "AddressFamily": "inet6",
    "Ciphers": "aes256-gcm@openssh.com",
    "KexAlgorithms": "curve25519-sha256",
    "HostKeyAlgorithms": "ssh-ed25519",
    "PreferredAuthentications": "password",
    "UserKnownHostsFile": "~/.ssh/%k",
    "IdentityFile": "${KEYS}/mine",
}


@pytest.mark.parametrize("setting", NEEDS_OPENSSH)
def test_a_setting_that_paramiko_does_not_apply_is_said_to_need_openssh(laptop: Laptop, setting: str) -> None:
    laptop.configure(f"{setting.lower()}={NEEDS_OPENSSH[setting]}")
    with pytest.raises(ConfigurationError, match="needs the ssh program") as raised:
        laptop.greet("main")
    assert "OpenSSH" in raised.value.hint

    laptop.configure(f"Host elsewhere\n  {setting} {NEEDS_OPENSSH[setting]}\nHost *")
    assert laptop.greet("main") == "machine-main"


@pytest.mark.parametrize("setting", ["ProxyCommand none", "VerifyHostKeyDNS no", "AddressFamily any"])
def test_a_setting_that_is_switched_off_needs_nothing(laptop: Laptop, setting: str) -> None:
    laptop.configure(setting)

    assert laptop.greet("main") == "machine-main"


def test_included_files_and_matches_count(laptop: Laptop, main: Machine) -> None:
    folder = laptop.ssh / "conf.d"
    folder.mkdir()
    (folder / "one").write_text(f"Match originalhost nickname user tester\n  HostName {main.address}\n")
    (laptop.ssh / "two words").write_text("Host other\n  HostName nickname.invalid\n")
    laptop.configure('Include conf.d/* "two words"\nMatch host no-such-host\n  Port 9\nHost *')

    assert laptop.greet("nickname", user="tester") == "machine-main"
    for host, user in (("nickname", "root"), ("other", "tester")):
        with pytest.raises(UnreachableError, match="No host named nickname"):
            laptop.greet(host, user=user)


def test_what_follows_an_include_belongs_to_no_block_of_it(laptop: Laptop) -> None:
    (laptop.ssh / "more").write_text("Host elsewhere\n  Port 9\n")
    laptop.configure("Include more\nUser no-one")

    assert "'user': 'no-one'" in ParamikoConnection.key(SSHTarget("main"))


@pytest.mark.parametrize(
    "line",
    [
        "Match exec true",
        "Match host main exec true",
        "Match tagged work",
        "Match localnetwork 10.0.0.0/8",
        "Match sessiontype exec",
        "Host main\n  Include more",
        "Match host main\n  Include more",
    ],
)
def test_what_cannot_be_decided_without_openssh_is_refused(laptop: Laptop, line: str) -> None:
    laptop.configure(f"{line}\n  Port 9\nHost *")

    with pytest.raises(ConfigurationError, match="needs the ssh program"):
        laptop.greet("main")


@pytest.mark.parametrize(
    "line",
    [
        "Host",
        "Match host",
        'Match host "main',
        "Port twenty-two",
        "Port 99999",
        "CanonicalizeHostname yes",
        'UserKnownHostsFile "a',
        "ProxyJump a:b:c",
        "Include config",
    ],
)
def test_a_broken_configuration_is_an_error_of_ours(laptop: Laptop, line: str) -> None:
    laptop.configure(f"{line}\nHost *")

    with pytest.raises((UsageError, UnreachableError)):
        laptop.greet("main")


def test_a_host_is_reached_through_two_others(laptop: Laptop, machines: SSHMachines) -> None:
    names = ("jump", "inner", "deep")
    before = [machines[name].log_ins for name in names]

    assert laptop.greet("deep") == "machine-deep"
    assert [machines[name].log_ins for name in names] == [count + 1 for count in before]


def test_several_jump_hosts_in_one_setting_are_taken_in_their_order(
    laptop: Laptop, machines: SSHMachines
) -> None:
    inner = machines["inner"].address
    laptop.configure(
        f"Host far\n  HostName {machines['deep'].address}\n  ProxyJump tester@jump:22,ssh://{inner}\n"
        f"Host {inner}\n  ProxyJump none\nHost *"
    )

    assert laptop.greet("far") == "machine-deep"


def test_the_jump_host_of_a_connection_takes_precedence(laptop: Laptop, machines: SSHMachines) -> None:
    inner = machines["inner"].address
    for setting in ("ProxyJump no-such-host.invalid", "ProxyCommand false"):
        laptop.configure(f"Host far\n  HostName {inner}\n  {setting}\nHost *")

        assert laptop.greet("far", jump="jump") == "machine-inner"


@pytest.mark.parametrize(
    ("first", "second", "is_refused"),
    [("ProxyJump none", "ProxyCommand false", False), ("ProxyCommand false", "ProxyJump none", True)],
)
def test_the_first_of_jump_and_command_counts(
    laptop: Laptop, first: str, second: str, *, is_refused: bool
) -> None:
    laptop.configure(f"{first}\n{second}")
    if is_refused:
        with pytest.raises(ConfigurationError, match="ProxyCommand"):
            laptop.greet("main")
    else:
        assert laptop.greet("main") == "machine-main"


def test_jump_hosts_in_a_loop_are_reported(laptop: Laptop) -> None:
    laptop.configure("Host one\n  ProxyJump two\nHost two\n  ProxyJump one\nHost *")

    with pytest.raises(ConfigurationError, match="loop"):
        laptop.greet("one")


def test_a_jump_host_that_does_not_lead_on_is_reported(laptop: Laptop) -> None:
    with pytest.raises(UnreachableError, match="prohibited"):
        laptop.greet("main", jump="nofwd")
    with pytest.raises(UnreachableError, match=r"port 9.*Connect failed"):
        laptop.greet("main", jump="jump", port=9)


def test_a_host_that_does_not_answer_a_jump_host_is_not_waited_for(
    laptop: Laptop, machines: SSHMachines
) -> None:
    machines["inner"].cable.pull()
    try:
        with pytest.raises(TimedOutError, match=r"inner .* did not answer in 2 s"):
            laptop.greet("inner", timeout=2)
    finally:
        machines["inner"].cable.plug()


def test_user_port_and_hostname_come_from_the_configuration(laptop: Laptop, main: Machine) -> None:
    laptop.configure(f"Host other\n  HostName {main.address}\n  User nobody-there\n  Port 9\nHost *")

    assert laptop.greet("other", user="tester", port=22) == "machine-main"
    with pytest.raises(UnreachableError, match="port 9"):
        laptop.greet("other")


def test_aliases_of_a_host_have_one_key(laptop: Laptop, main: Machine) -> None:
    laptop.configure(f"Host other\n  HostName {main.address}\nHost *")

    assert ParamikoConnection.key(SSHTarget("other")) == ParamikoConnection.key(SSHTarget("main"))
    assert ParamikoConnection.key(SSHTarget("other")) != ParamikoConnection.key(
        SSHTarget("other", user="root")
    )
    assert ParamikoConnection.key(SSHTarget("jump")) != ParamikoConnection.key(SSHTarget("main"))


def test_a_host_that_does_not_exist_is_reported(laptop: Laptop) -> None:
    with pytest.raises(UnreachableError, match=r"No host named no-such-host\.invalid"):
        laptop.greet("no-such-host.invalid")


@contextmanager
def silent() -> Iterator[int]:
    """A port of this machine where connections are accepted, and nothing is ever sent."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        yield int(server.getsockname()[1])


def test_a_host_that_does_not_answer_is_not_waited_for(laptop: Laptop) -> None:
    with silent() as port, pytest.raises(TimedOutError, match=r"did not answer in 1 s"):
        laptop.greet("127.0.0.1", port=port, timeout=1)
    assert not laptop.threads()


def test_a_busy_host_is_dialled_again(laptop: Laptop, machines: SSHMachines) -> None:
    with socket.create_connection((machines["busy"].address, 22), 10) as other:
        other.recv(64)
        # It hangs up soon on the other client, which does not log in (LoginGraceTime).
        connection = laptop.connect("busy")
    assert connection.is_open
    assert run_on(connection, "hostname").stdout == b"machine-busy\n"


def test_a_host_that_hangs_up_at_once_is_reported(laptop: Laptop) -> None:
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
                laptop.greet("127.0.0.1", port=server.getsockname()[1])
        finally:
            server.shutdown(socket.SHUT_RDWR)
            thread.join()


def test_no_thread_is_left_of_a_closed_connection(laptop: Laptop) -> None:
    before = set(threading.enumerate())
    connection = laptop.connect("deep", Person())
    run_on(connection, "true", stdin=b"input")
    connection.close()
    connection.close()

    assert not connection.is_open
    assert set(threading.enumerate()) <= before
