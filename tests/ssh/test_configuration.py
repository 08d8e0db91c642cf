"""What the user's ssh configuration says of a host is what happens: each setting against a real sshd."""

import os
import shutil
from pathlib import Path
from typing import Any

import psutil
import pytest

from ocattach.errors import ConfigurationError, UnreachableError, UsageError
from ocattach.printable import command_line
from ocattach.transports.ssh.transport import uses_openssh
from tests.rigs.links import PREFIX
from tests.rigs.machine import Machine
from tests.rigs.ssh import SSHMachines
from tests.rigs.waiting import wait_until
from tests.ssh.conftest import Client


def test_included_files_and_matches_count(client: Client, main: Machine) -> None:
    included = client.folder / "included"
    included.write_text(
        f"Match originalhost nickname exec true\n  HostName {main.address}\nMatch exec false\n  Port 9\n"
    )
    client.configure(f"Include {included}")

    assert client.greet("nickname") == "machine-main"


def test_a_host_is_reached_through_two_others(client: Client, machines: SSHMachines) -> None:
    logins = [machines[name].log_ins for name in ("jump", "inner", "deep")]

    assert client.greet("deep") == "machine-deep"
    assert [machines[name].log_ins for name in ("jump", "inner", "deep")] == [n + 1 for n in logins]
    source = machines.log("deep").read_text()
    assert f"Accepted publickey for tester from {machines['deep'].address.rpartition('.')[0]}.1" in source


def test_several_jump_hosts_in_one_setting_are_taken_in_their_order(
    client: Client, machines: SSHMachines
) -> None:
    client.configure(
        f"Host far\n  HostName {machines['deep'].address}\n  ProxyJump tester@jump:22,{machines['inner'].address}\n"
        f"Host {machines['inner'].address}\n  ProxyJump none\nHost *"
    )

    assert client.greet("far") == "machine-deep"


def test_the_jump_host_of_a_connection_counts_more_than_the_configured_one(
    client: Client, machines: SSHMachines
) -> None:
    client.configure(
        f"Host far\n  HostName {machines['inner'].address}\n  ProxyJump no-such-host.invalid\nHost *"
    )

    assert client.greet("far", jump="jump") == "machine-inner"


def test_jump_hosts_in_a_circle_are_told(client: Client) -> None:
    client.configure("Host one\n  ProxyJump two\nHost two\n  ProxyJump one\nHost *")

    with pytest.raises(ConfigurationError, match=r"circle|loop"):
        client.greet("one")


def test_a_proxy_command_carries_the_connection_and_ends_with_it(client: Client, main: Machine) -> None:
    note = client.folder / "note"
    command = f"sh -c 'echo %n %h %p %r >{note}; exec nc.openbsd \"$0\" %p' {main.address}"
    if not shutil.which("nc.openbsd"):
        client.machines.client_bin(client.folder / "plain")
        plain = client.folder / "plain/ssh"
        command = f"sh -c 'echo %n %h %p %r >{note}; exec {plain} -W localhost:22 main'"
    client.configure(
        f"Host shadowed\n  HostName 192.0.2.1\n  HostKeyAlias {main.address}\n  ProxyCommand {command}\nHost *"
    )

    def carriers() -> list[psutil.Process]:
        programs = (["nc.openbsd", main.address], [f"{client.folder}/plain/ssh_config", "-W"])
        return [
            process
            for process in psutil.process_iter(["cmdline"])
            if any(set(words) <= set(process.info["cmdline"] or ()) for words in programs)
        ]

    with client.handler("shadowed") as handler:
        assert handler.run(["hostname"], timeout=60).stdout == b"machine-main\n"
        assert carriers()

    assert note.read_text() == "shadowed 192.0.2.1 22 tester\n"
    wait_until(lambda: not carriers(), "the proxy command to end")


def test_what_a_proxy_command_says_when_it_fails_is_told(client: Client) -> None:
    client.configure("Host shadowed\n  ProxyCommand sh -c 'echo no way today >&2; exit 3'\nHost *")

    with pytest.raises(UnreachableError, match="no way today"):
        client.greet("shadowed")


def test_a_project_cannot_bring_a_command_into_a_proxy_command(client: Client) -> None:
    mark = client.folder / "mark"
    client.configure("Host *\n  ProxyCommand false %h %r")

    for host, user in ((f"x;touch {mark}", None), ("x", f"$(touch {mark})")):
        with pytest.raises(UsageError, match="contains"):
            client.handler(host, user=user)
    assert not mark.exists()


@pytest.mark.parametrize(
    "entry", [{}, {"user": "tester", "port": 22}, {"jump": "jump", "identity_file": "~/.ssh/key"}]
)
def test_what_explain_prints_is_the_command_that_runs(
    client: Client, monkeypatch: pytest.MonkeyPatch, entry: dict[str, Any]
) -> None:
    monkeypatch.setenv("HOME", str(client.folder))
    (client.folder / ".ssh").mkdir()
    shutil.copy(client.machines.identity, client.folder / ".ssh/key")
    folder, log = client.folder / "recorder", client.folder / "commands"
    folder.mkdir()
    recorder = folder / "ssh"
    recorder.write_text(f'#!/bin/sh\nprintf "%s\\0" "$@" END >>{log}\nexec {client.folder}/bin/ssh "$@"\n')
    recorder.chmod(0o700)
    monkeypatch.setenv("PATH", f"{folder}:{os.environ['PATH']}")
    handler = client.handler("inner", **entry)
    plan = handler.plan()
    with handler:
        handler.check_available()

    ran = [["ssh", *command.split("\0")[:-1]] for command in log.read_text().split("END\0")]
    login = next(argv for argv in ran if "-M" in argv)
    login[login.index("-S") + 1] = "CONTROL_PATH"
    assert plan.connection.partition("logged in to by: ")[2] == command_line(*login)


def test_user_port_and_hostname_come_from_the_configuration(client: Client, main: Machine) -> None:
    client.configure(f"Host other\n  HostName {main.address}\n  User nobody-there\n  Port 9\nHost *")

    assert client.greet("other", user="tester", port=22) == "machine-main"
    with pytest.raises(UnreachableError, match="port 9"):
        client.greet("other")


def test_the_name_of_an_alias_is_what_known_hosts_are_asked_for(client: Client, main: Machine) -> None:
    key = Path(f"{client.machines.host_key('main')}.pub").read_text()
    client.known_hosts.write_text(f"a-name-of-its-own {key}")
    settings = f"UserKnownHostsFile {client.known_hosts}\nHost other\n  HostName {main.address}\n"
    client.configure(f"{settings}  HostKeyAlias a-name-of-its-own\nHost *")

    assert client.greet("other") == "machine-main"


def test_the_connection_comes_from_the_address_that_is_bound(client: Client, main: Machine) -> None:
    own = f"{main.address.rpartition('.')[0]}.1"
    client.configure(f"BindAddress {own}\nAddressFamily inet\nConnectTimeout 7")

    assert client.greet("main") == "machine-main"
    client.configure("BindAddress 127.0.0.1")
    with pytest.raises((UnreachableError, TimeoutError)):
        client.greet("main")
    assert own.startswith(PREFIX)


def test_a_broken_configuration_is_told_in_opensshs_words(client: Client) -> None:
    client.configure("NoSuchSetting yes")

    with pytest.raises(ConfigurationError, match=r"(?i)nosuchsetting"):
        client.greet("main")


@pytest.mark.parametrize("chosen", ["auto", "openssh", "paramiko"])
def test_the_settings_choose_what_reaches_a_host(
    client: Client, monkeypatch: pytest.MonkeyPatch, chosen: str
) -> None:
    home = client.folder / "home"
    (home / ".ssh").mkdir(parents=True)
    shutil.copy(client.folder / "bin/ssh_config", home / ".ssh/config")
    (client.folder / "config.yaml").write_text(f"ssh_client: {chosen}\n")
    monkeypatch.setenv("HOME", str(home))
    monkeypatch.setenv("OCATTACH_CONFIG_DIR", str(client.folder))

    with client.handler("main") as handler:
        assert handler.run(["hostname"], timeout=60).stdout == b"machine-main\n"
        assert type(handler.connection).__name__.startswith("Paramiko") is (chosen == "paramiko")


def test_a_machine_without_ssh_uses_paramiko_unless_openssh_is_required(
    client: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", str(client.folder / "empty"))
    monkeypatch.setenv("OCATTACH_CONFIG_DIR", str(client.folder))
    assert not uses_openssh()

    (client.folder / "config.yaml").write_text("ssh_client: openssh\n")
    with pytest.raises(ConfigurationError, match="no ssh program"):
        client.greet("main")
