"""The `local` transport: this machine as an environment."""

import os
import signal
import subprocess
import time
from collections.abc import Callable, Iterator, Sequence
from functools import partial

from ocattach.errors import TimedOutError
from ocattach.execution import CommandResult, Stream, check_output
from ocattach.transports.base import Availability, Plan
from ocattach.transports.command import CommandTransport
from ocattach.transports.foreground import ForegroundCommand, LocalProgram
from ocattach.transports.process import Exchange, ProcessStream
from ocattach.tunnel.direct import DirectRoute
from ocattach.tunnel.route import Route
from ocattach.tunnel.tunnel import Tunnel

COMMAND_NOT_FOUND = 127
CANNOT_EXECUTE = 126


class LocalTransport(CommandTransport):
    """Runs commands as child processes and connects to ports directly."""

    scheme = "local"
    shares_files = True
    logs_in = True
    reaches_ports = True
    place = "this machine"
    preposition = "on"

    def plan(self) -> Plan:
        return Plan("this machine, as this account", routes=("direct: the daemon's port",))

    def check_available(self) -> Availability:
        return Availability("This machine")

    def inside(self, argv: Sequence[str]) -> Sequence[str]:
        """Return the program that runs a command; transports into other places on this machine enter them by it."""
        return argv

    def run(self, argv: Sequence[str], *, stdin: bytes = b"", timeout: float) -> CommandResult:
        stdout, stderr = bytearray(), bytearray()

        def take(data: bytes, to: bytearray) -> None:
            to += data
            check_output(len(stdout) + len(stderr), self.place)

        try:
            process = subprocess.Popen(
                self.inside(argv),
                cwd="/",
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
                start_new_session=True,
            )
        except OSError as error:
            return not_started(error)
        with process:
            try:
                Exchange(
                    process, stdin, stdout=partial(take, to=stdout), stderr=partial(take, to=stderr)
                ).run(time.monotonic() + timeout)
            except TimeoutError as error:
                raise TimedOutError(
                    f"{argv[0]} on this machine did not end within {timeout:.0f} s"
                ) from error
            finally:
                if process.poll() is None:
                    os.killpg(process.pid, signal.SIGKILL)
        code = process.returncode
        return CommandResult(code if code >= 0 else 128 - code, bytes(stdout), bytes(stderr))

    def open_stream(self, argv: Sequence[str]) -> Stream:
        return ProcessStream(self.inside(argv))

    def open_foreground(self, argv: Sequence[str], *, size: os.terminal_size | None) -> ForegroundCommand:  # noqa: ARG002
        return LocalProgram(tuple(self.inside(argv)))

    def routes(self, port: int) -> Iterator[Callable[[], Route]]:
        """Yield the only route: a direct connection."""
        yield lambda: DirectRoute(self.daemon_host(port))

    def connect_ports(self, tunnel: Tunnel) -> None:
        tunnel.switch_route(DirectRoute("127.0.0.1"), 0)


def not_started(error: OSError) -> CommandResult:
    """Return the exit code and message of a shell for a program that could not be started."""
    missing = isinstance(error, FileNotFoundError | NotADirectoryError)
    return CommandResult(COMMAND_NOT_FOUND if missing else CANNOT_EXECUTE, b"", str(error).encode())
