"""Login shells of all kinds, and start-up files that talk: the protocol is not disturbed."""

import subprocess

import pytest

from ocattach.errors import ConnectionLostError, OcattachError, TimedOutError
from ocattach.execution import MAX_OUTPUT
from ocattach.transports.foreground import LocalProgram
from tests.contract.servers import echo, send_and_receive, serve
from tests.contract.test_commands import ARGUMENTS
from tests.rigs.availability import need
from tests.rigs.machine import HOME, Machine
from tests.rigs.ssh import SSHMachines
from tests.ssh.conftest import Client

SHELLS = {
    "bash": "/bin/bash",
    "dash": "/bin/dash",
    "fish": "/usr/bin/fish",
    "mksh": "/bin/mksh",
    "tcsh": "/bin/tcsh",
    "zsh": "/bin/zsh",
}
MEGABYTES = 5
CHATTER = {
    "polite": "echo Welcome; echo 'mind the step' >&2; printf 'no end of line'",
    "megabytes": f"head -c {MEGABYTES}000000 /dev/zero | tr '\\0' x; head -c {MEGABYTES}000000 /dev/zero >&2",
    "control": r"printf '\033]0;title\007\033[2J'; printf 'ocattach:outpu'",
    "failing": "false; set -u 2>/dev/null; no-such-command; cd /tmp",
}


@pytest.fixture(params=sorted(SHELLS))
def shell(request: pytest.FixtureRequest, machines: SSHMachines) -> str:
    """A login shell that every machine of these tests now has."""
    program = SHELLS[request.param]
    need(program)
    for name in ("main", "nofwd"):
        machines[name].set_shell(program)
    return str(request.param)


@pytest.mark.usefixtures("shell")
def test_each_argument_arrives_whatever_the_login_shell(client: Client) -> None:
    with client.handler("main") as handler:
        script = r'for word; do printf "%s\0" "$word"; done'
        result = handler.run(["sh", "-c", script, "sh", *ARGUMENTS], timeout=60)

    assert ARGUMENTS == result.stdout.decode().split("\0")[:-1]


@pytest.mark.usefixtures("shell")
def test_each_argument_arrives_in_the_foreground_whatever_the_login_shell(client: Client) -> None:
    script = r'for word; do printf "%s\0" "$word"; done; kill -9 $$'
    with client.handler("main") as handler:
        command = handler.start_command(["sh", "-c", script, "sh", *ARGUMENTS], size=None)
        assert isinstance(command, LocalProgram)
        done = subprocess.run(command.argv, capture_output=True, timeout=60, check=False)

    assert ARGUMENTS == done.stdout.decode().split("\0")[:-1]
    assert done.returncode == 137


@pytest.mark.usefixtures("shell")
def test_exit_codes_and_input_arrive_whatever_the_login_shell(client: Client) -> None:
    with client.handler("main") as handler:
        assert handler.run(["sh", "-c", "cat; exit 7"], stdin=b"given", timeout=60).stdout == b"given"
        assert handler.run(["sh", "-c", "exit 7"], timeout=60).exit_code == 7
        assert handler.run(["no-such-command-anywhere"], timeout=60).exit_code == 127


@pytest.mark.usefixtures("shell")
def test_the_relay_runs_under_any_login_shell(client: Client, machines: SSHMachines) -> None:
    with (
        serve(machines["nofwd"].network, echo, home=machines["nofwd"].confined.path(HOME)) as port,
        client.handler("nofwd") as handler,
        handler.connect(port) as tunnel,
    ):
        assert tunnel.route_name == "relay"
        assert send_and_receive(tunnel.port, b"there and back") == b"there and back"


@pytest.mark.parametrize("chatter", CHATTER)
def test_what_start_up_files_print_is_not_taken_for_the_answer(
    client: Client, main: Machine, chatter: str
) -> None:
    main.write(".bashrc", f"{CHATTER[chatter]}\n")
    with client.handler("main") as handler:
        result = handler.run(["sh", "-c", "cat; echo done >&2"], stdin=b"answer", timeout=60)

    assert result.stdout == b"answer"
    assert result.stderr.endswith(b"done\n")


@pytest.mark.parametrize("chatter", CHATTER)
def test_what_start_up_files_print_does_not_disturb_the_relay(
    client: Client, machines: SSHMachines, chatter: str
) -> None:
    machines["nofwd"].write(".bashrc", f"{CHATTER[chatter]}\n")
    with (
        serve(machines["nofwd"].network, echo, home=machines["nofwd"].confined.path(HOME)) as port,
        client.handler("nofwd") as handler,
        handler.connect(port) as tunnel,
    ):
        assert send_and_receive(tunnel.port, b"there and back") == b"there and back"


@pytest.mark.parametrize(
    ("nastiness", "words"),
    [
        ("exec cat", "did not get as far|login shell"),
        ("echo Closed on Sundays; exit 1", "Closed on Sundays"),
        ("exec sleep 60", "login shell did not get as far"),
    ],
)
def test_start_up_files_that_never_come_to_the_command_are_told(
    client: Client, main: Machine, nastiness: str, words: str
) -> None:
    main.write(".bashrc", f"{nastiness}\n")
    with client.handler("main") as handler, pytest.raises(OcattachError, match=words):
        handler.run(["hostname"], timeout=3)


def test_an_account_without_a_shell_is_told_in_its_own_words(client: Client, main: Machine) -> None:
    main.set_shell("/usr/sbin/nologin")
    with pytest.raises(OcattachError, match="not available"):
        client.greet("main")


def test_a_flood_before_the_command_ends_with_the_deadline_and_takes_no_memory(
    client: Client, main: Machine
) -> None:
    main.write(".bashrc", "yes\n")
    with client.handler("main") as handler, pytest.raises(TimedOutError, match="said: y"):
        handler.run(["hostname"], timeout=3)


def test_a_flood_before_a_stream_ends_with_the_deadline(client: Client, main: Machine) -> None:
    main.write(".bashrc", "yes\n")
    with client.handler("main") as handler:
        handler.timeout = 5
        with pytest.raises(TimedOutError, match=r"within 5 s.*said: y"):
            handler.open_stream(["hostname"])


def test_a_flood_instead_of_an_answer_is_cut_off(client: Client) -> None:
    with client.handler("main") as handler:
        with pytest.raises((OcattachError, ConnectionLostError), match=f"{MAX_OUTPUT // 1024**2} MiB"):
            handler.run(["yes"], timeout=60)

        assert handler.run(["echo", "well"], timeout=60).stdout == b"well\n"
