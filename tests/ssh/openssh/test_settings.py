"""Settings for terminals and forwarding have no effect on our commands, and do not break them."""

import socket

import pytest

from ocattach.errors import OcattachError
from tests.rigs.machine import Machine
from tests.ssh.conftest import Client

SCRIPT = 'cat; ! tty >/dev/null || echo terminal; echo "$SSH_AUTH_SOCK$DISPLAY"; exit 7'
SETTINGS = {
    "a command of its own": "RemoteCommand echo another",
    "a terminal": "RequestTTY force",
    "a command and a terminal": "RemoteCommand tmux new -A\nRequestTTY yes",
    "a port that is taken": "LocalForward 127.0.0.1:{taken} 127.0.0.1:1\nExitOnForwardFailure yes",
    "a port of the host": "RemoteForward 22 127.0.0.1:1\nExitOnForwardFailure yes",
    "a proxy": "DynamicForward 127.0.0.1:{taken}\nExitOnForwardFailure yes",
    "the agent": "ForwardAgent yes",
    "an escape character": "EscapeChar g",
    "a local command": "PermitLocalCommand yes\nLocalCommand touch {mark}",
    "the background": "ForkAfterAuthentication yes",
    "no input": "StdinNull yes",
    "no session": "SessionType none",
    "a subsystem": "SessionType subsystem\nRemoteCommand sftp",
    "few messages": "LogLevel QUIET",
    "many messages": "LogLevel DEBUG3",
    "a dead master": "ControlMaster yes\nControlPath {dead}",
    "a master that is asked": "ControlMaster autoask\nControlPath {mark}",
    "no master": "ControlMaster no\nControlPath none",
    "variables": "SendEnv PATH LC_*\nSetEnv OCATTACH_SET=yes",
    "windows": "ForwardX11 yes\nForwardX11Trusted yes",
    "a network": "Tunnel yes\nTunnelDevice any:any",
    "other names": "CanonicalizeHostname always\nUpdateHostKeys ask\nVisualHostKey yes",
    "another pace": "RekeyLimit 1M\nCompression yes\nServerAliveInterval 1\nTCPKeepAlive no",
}


@pytest.mark.parametrize("settings", SETTINGS.values(), ids=SETTINGS)
def test_a_command_runs_as_if_the_setting_were_not_there(
    client: Client, monkeypatch: pytest.MonkeyPatch, settings: str
) -> None:
    monkeypatch.setenv("DISPLAY", ":0")
    dead, mark = client.folder / "dead", client.folder / "mark"
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(dead))
    with socket.create_server(("127.0.0.1", 0)) as taken:
        filled = settings.format(taken=taken.getsockname()[1], mark=mark, dead=dead)
        client.configure(filled)
        with client.handler("main") as handler:
            result = handler.run(["sh", "-c", SCRIPT], stdin=b"given\n", timeout=60)

    assert (result.exit_code, result.stdout) == (7, b"given\n\n")
    assert not mark.exists()


def test_a_port_that_the_user_forwards_stays_free_for_the_user(client: Client) -> None:
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    client.configure(f"LocalForward 127.0.0.1:{port} 127.0.0.1:22")
    with client.handler("main") as handler:
        handler.check_available()
        with socket.create_server(("127.0.0.1", port)):
            assert handler.run(["hostname"], timeout=60).stdout == b"machine-main\n"


def test_a_command_decides_in_an_included_file_to_which_host_a_name_leads(
    client: Client, main: Machine
) -> None:
    included, asked = client.folder / "included", client.folder / "asked"
    included.write_text(
        f'Match originalhost nickname exec "echo %n >>{asked}"\n  HostName {main.address}\nMatch all\n'
    )
    client.configure(f"Include {included}")

    assert client.greet("nickname") == "machine-main"
    assert set(asked.read_text().split()) == {"nickname"}


def test_a_host_that_refuses_is_reported_in_the_words_of_ssh_whatever_the_log_level(client: Client) -> None:
    client.configure("LogLevel QUIET\nHostKeyAlgorithms rsa-sha2-256")

    with pytest.raises(OcattachError, match="no matching host key type found"):
        client.greet("main")
