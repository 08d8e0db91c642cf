"""Commands on a connection of paramiko's: any login shell, start-up files that print, and hosts that do not do all."""

import socket
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

import pytest

from ocattach.errors import ConnectionLostError, OcattachError, TimedOutError, TooMuchOutputError
from ocattach.execution import MAX_OUTPUT, CommandResult, Stream
from ocattach.transports.ssh.connection import SessionRefusedError
from ocattach.transports.ssh.paramiko.connection import ParamikoConnection
from tests.contract.test_commands import ARGUMENTS
from tests.rigs.availability import need
from tests.rigs.machine import Machine
from tests.rigs.waiting import wait_until
from tests.ssh.paramiko_client.conftest import Laptop, run_on
from tests.ssh.test_shells import CHATTER, SHELLS

AT_ONCE = 8
END = 10


@pytest.fixture(params=sorted(SHELLS))
def shell(request: pytest.FixtureRequest, main: Machine) -> str:
    """A login shell that the plain machine now has."""
    program = SHELLS[request.param]
    need(program)
    main.set_shell(program)
    return str(request.param)


def stream_of(connection: ParamikoConnection, *argv: str) -> Stream:
    """Start a command as a stream, with a socket that does not wait for ever."""
    stream = connection.open_stream(argv)
    stream.socket.settimeout(END)
    return stream


@pytest.mark.usefixtures("shell")
def test_arguments_input_and_exit_codes_arrive_whatever_the_login_shell(laptop: Laptop) -> None:
    connection = laptop.connect("main")
    script = r'for word; do printf "%s\0" "$word"; done'
    printed = run_on(connection, "sh", "-c", script, "sh", *ARGUMENTS).stdout

    assert ARGUMENTS == printed.decode().split("\0")[:-1]
    assert run_on(connection, "sh", "-c", "cat; exit 7", stdin=b"given") == CommandResult(7, b"given", b"")
    assert run_on(connection, "sh", "-c", "cat; exit 7") == CommandResult(7, b"", b"")
    assert run_on(connection, "no-such-command-anywhere").exit_code == 127
    stream = stream_of(connection, "cat")
    stream.socket.sendall(b"there and back")
    assert stream.socket.recv(64) == b"there and back"
    stream.close()


@pytest.mark.parametrize("chatter", CHATTER)
def test_what_start_up_files_print_is_not_taken_for_output(
    laptop: Laptop, main: Machine, chatter: str
) -> None:
    main.write(".bashrc", f"{CHATTER[chatter]}\n")
    connection = laptop.connect("main")
    result = run_on(connection, "sh", "-c", "cat; echo done >&2", stdin=b"answer")
    assert result.stdout == b"answer"
    assert result.stderr.endswith(b"done\n")

    stream = stream_of(connection, "sh", "-c", "echo early; cat; echo why >&2")
    stream.socket.sendall(b"there and back")
    stream.socket.shutdown(socket.SHUT_WR)
    with stream.socket.makefile("rb") as output:
        assert output.read() == b"early\nthere and back"
    assert stream.is_whole()
    assert stream.diagnosis().endswith("why")
    stream.close()


ATTEMPTS: dict[str, Callable[[ParamikoConnection], object]] = {
    "run": lambda connection: run_on(connection, "hostname", timeout=3),
    "stream": lambda connection: stream_of(connection, "hostname"),
}


@pytest.mark.parametrize("attempt", ATTEMPTS)
@pytest.mark.parametrize(
    ("start_up", "error", "words"),
    [
        ("echo Closed on Sundays; exit 1", OcattachError, "Closed on Sundays"),
        (
            "echo Closed >&2; exec sleep 60",
            TimedOutError,
            "within 3 s; its login shell did not get as far.*Closed",
        ),
        ("yes", TimedOutError, "said: y"),
        ("kill -9 $$", OcattachError, "could not be run"),
    ],
)
def test_start_up_files_that_do_not_get_to_the_command_are_reported(
    laptop: Laptop, main: Machine, attempt: str, start_up: str, *, error: type[OcattachError], words: str
) -> None:
    main.write(".bashrc", f"{start_up}\n")
    connection = laptop.connect("main", timeout=3)
    with pytest.raises(error, match=words):
        ATTEMPTS[attempt](connection)

    main.write(".bashrc", "")
    assert connection.is_open
    assert run_on(connection, "echo", "well").stdout == b"well\n"
    assert not laptop.threads()


def test_an_account_without_a_shell_is_reported_in_its_own_words(laptop: Laptop, main: Machine) -> None:
    main.set_shell("/usr/sbin/nologin")
    with pytest.raises(OcattachError, match="not available"):
        laptop.greet("main")


def test_a_command_that_does_not_end_is_ended_at_its_deadline(laptop: Laptop) -> None:
    connection = laptop.connect("main")
    began = time.monotonic()
    with pytest.raises(TimedOutError, match=r"within 1 s$"):
        run_on(connection, "sleep", "60", stdin=b"x" * 10_000_000, timeout=1)

    assert time.monotonic() - began < END
    assert connection.is_open
    assert not laptop.threads()


@pytest.mark.parametrize("redirection", ["", ">&2", "& yes >&2"])
def test_output_without_end_is_cut_off(laptop: Laptop, redirection: str) -> None:
    connection = laptop.connect("main")
    with pytest.raises(TooMuchOutputError, match=f"{MAX_OUTPUT // 1024**2} MiB"):
        run_on(connection, "sh", "-c", f"yes {redirection}", timeout=60)

    assert run_on(connection, "echo", "well").stdout == b"well\n"


def test_errors_that_nobody_reads_do_not_block_a_stream(laptop: Laptop) -> None:
    stream = stream_of(laptop.connect("main"), "sh", "-c", "head -c 9000000 /dev/zero >&2; echo done")

    assert stream.socket.recv(64) == b"done\n"
    stream.close()
    stream.close()


def test_a_command_that_a_signal_ends_has_a_result(laptop: Laptop) -> None:
    assert run_on(laptop.connect("main"), "sh", "-c", "kill -9 $$").exit_code == 255


def test_a_host_of_one_session_refuses_a_second_one(laptop: Laptop) -> None:
    connection = laptop.connect("narrow")
    stream = stream_of(connection, "cat")

    def refused(_: int) -> bool:
        with pytest.raises(SessionRefusedError, match="no further command") as raised:
            run_on(connection, "true")
        return "MaxSessions" in raised.value.hint

    with ThreadPoolExecutor(AT_ONCE) as pool:
        assert all(pool.map(refused, range(AT_ONCE)))
    stream.socket.sendall(b"still there")
    assert stream.socket.recv(64) == b"still there"
    stream.close()
    assert connection.is_open


def test_a_connection_that_is_lost_is_reported_by_everything_on_it(laptop: Laptop) -> None:
    connection = laptop.connect("main")
    stream = stream_of(connection, "cat")
    with pytest.raises(ConnectionLostError, match="ended while a command ran"):
        # The parent of the login shell is the sshd of this connection, which runs as the user.
        run_on(
            connection, "sh", "-c", "kill -9 $(cut -d' ' -f4 /proc/$PPID/stat) $PPID; sleep 60", timeout=20
        )

    assert stream.socket.recv(64) == b""
    assert not stream.is_whole()
    stream.close()
    wait_until(lambda: not connection.is_open, "the end of the connection")
    for attempt in ATTEMPTS.values():
        with pytest.raises(ConnectionLostError, match="is lost"):
            attempt(connection)


def test_nothing_runs_on_a_closed_connection(laptop: Laptop) -> None:
    connection = laptop.connect("main")
    connection.close()

    for attempt in ATTEMPTS.values():
        with pytest.raises(ConnectionLostError, match="is lost"):
            attempt(connection)


def test_closing_the_connection_ends_its_commands(laptop: Laptop) -> None:
    connection = laptop.connect("main")
    stream = stream_of(connection, "cat")
    with ThreadPoolExecutor(1) as pool:
        running = pool.submit(run_on, connection, "sleep", "60", timeout=50)
        wait_until(running.running, "the command")
        time.sleep(0.5)
        connection.close()
        with pytest.raises(ConnectionLostError):
            running.result(END)
    assert stream.socket.recv(64) == b""
    stream.close()
    assert not laptop.threads()
