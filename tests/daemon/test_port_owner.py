"""Which account listens on a port, as a shell in the environment reports it."""

import socket
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from pathlib import Path

import pytest

from ocattach.daemon.port_owner import PortOwnerCheck, shows_owners
from ocattach.errors import ConnectionLostError
from ocattach.execution import CommandResult, Stream
from tests.daemon.test_scripts import SHELLS
from tests.rigs.availability import need, require
from tests.rigs.namespaces import Network
from tests.tunnel.relays import ProcessStream

STRANGER = 54321
ANYWHERE = "0.0.0.0"  # noqa: S104 - as daemons may be told to listen

pytestmark = pytest.mark.needs_programs


def checked(opened: ExitStack, shell: Sequence[str] = ("sh",)) -> tuple[PortOwnerCheck, list[ProcessStream]]:
    """A check by a shell of this machine, and the streams that it has opened so far."""
    with require("shells"):
        need(shell[0])
    streams = []

    def open_stream(argv: Sequence[str]) -> Stream:
        streams.append(ProcessStream([*shell, *argv[1:]]))
        return streams[-1]

    check = PortOwnerCheck(open_stream, timeout=20)
    opened.callback(check.close)
    return check, streams


@pytest.fixture
def opened() -> Iterator[ExitStack]:
    with ExitStack() as stack:
        yield stack


@pytest.mark.parametrize("shell", SHELLS, ids=" ".join)
@pytest.mark.parametrize("host", ["127.0.0.1", ANYWHERE, "::1", "::"])
def test_a_port_of_this_account_is_ours(opened: ExitStack, shell: Sequence[str], host: str) -> None:
    check, _ = checked(opened, shell)
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    listening = opened.enter_context(socket.create_server((host, 0), family=family))
    asked = "::1" if ":" in host else "127.0.0.1"

    assert check.is_ours(asked, listening.getsockname()[1]) is True


@pytest.mark.parametrize("shell", SHELLS, ids=" ".join)
@pytest.mark.parametrize("host", ["127.0.0.1", ANYWHERE])
def test_one_of_another_account_is_not(opened: ExitStack, shell: Sequence[str], host: str) -> None:
    with require("local"):
        need(root=True)
    check, _ = checked(opened, shell)
    listening = opened.enter_context(Network(Path("/proc/self")).listen(0, host, uid=STRANGER))

    assert check.is_ours("127.0.0.1", listening.getsockname()[1]) is False


def test_one_on_which_nothing_listens_is_not(opened: ExitStack) -> None:
    check, _ = checked(opened)
    with socket.create_server(("127.0.0.1", 0)) as listening:
        port = listening.getsockname()[1]

    assert check.is_ours("127.0.0.1", port) is False


def test_a_shell_that_was_killed_is_started_again(opened: ExitStack) -> None:
    check, streams = checked(opened)
    listening = opened.enter_context(socket.create_server(("127.0.0.1", 0)))
    port = listening.getsockname()[1]
    assert check.is_ours("127.0.0.1", port)
    streams[0].process.kill()
    streams[0].process.wait()

    assert check.is_ours("127.0.0.1", port)
    assert len(streams) == 2


def test_something_else_than_our_script_is_not_believed(opened: ExitStack) -> None:
    check = PortOwnerCheck(
        lambda _: ProcessStream(["sh", "-c", "read -r line; echo ours, surely"]), timeout=20
    )
    opened.callback(check.close)

    with pytest.raises(ConnectionLostError):
        check.is_ours("127.0.0.1", 4096)


def test_many_at_once_are_checked_together(opened: ExitStack) -> None:
    check, streams = checked(opened)
    listening = opened.enter_context(socket.create_server(("127.0.0.1", 0)))
    port = listening.getsockname()[1]
    with ThreadPoolExecutor(50) as pool:
        assert all(pool.map(lambda _: check.is_ours("127.0.0.1", port), range(200)))
    assert len(streams) == 1


@pytest.mark.parametrize(("code", "shows"), [(0, True), (1, False), (127, False)])
def test_an_environment_without_the_kernels_tables_does_not_show_it(code: int, *, shows: bool) -> None:
    def run(argv: Sequence[str], *, stdin: bytes = b"", timeout: float) -> CommandResult:
        assert argv
        assert not stdin
        assert timeout
        return CommandResult(code, b"", b"")

    assert shows_owners(run, timeout=1) is shows
