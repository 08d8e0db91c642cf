"""The machine we are on, as an environment: the reference for the contract, and the origin called "local"."""

import os
import signal
import socket
import subprocess
from collections.abc import Callable, Iterator, Sequence
from typing import TYPE_CHECKING

from ocattach.errors import OcattachError, TimedOutError
from ocattach.execution import CommandResult, Stream
from ocattach.transports.base import Availability
from ocattach.transports.command import CommandTransport

if TYPE_CHECKING:
    from ocattach.tunnel.route import Route
    from ocattach.tunnel.tunnel import Tunnel

COMMAND_NOT_FOUND = 127
CANNOT_EXECUTE = 126
END_SECONDS = 2


class LocalTransport(CommandTransport):
    """Commands run as children of this process; ports are reached as they are."""

    scheme = "local"
    shares_files = True
    reaches_ports = True
    place = "this machine"

    def check_available(self) -> Availability:
        return Availability("This machine")

    def run(self, argv: Sequence[str], *, stdin: bytes = b"", timeout: float) -> CommandResult:
        try:
            process = subprocess.Popen(
                argv,
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
                start_new_session=True,
            )
        except OSError as error:
            return not_started(error)
        with process:
            try:
                stdout, stderr = process.communicate(stdin, timeout=timeout)
            except subprocess.TimeoutExpired as error:
                os.killpg(process.pid, signal.SIGKILL)
                raise TimedOutError(
                    f"{argv[0]} on this machine did not end within {timeout:.0f} s"
                ) from error
        code = process.returncode
        return CommandResult(code if code >= 0 else 128 - code, stdout, stderr)

    def open_stream(self, argv: Sequence[str]) -> Stream:
        return ProcessStream(argv)

    def connect(self, remote_port: int) -> "Tunnel":
        return self.tunnel(remote_port, self.direct_routes(remote_port))

    def direct_routes(self, port: int) -> Iterator[Callable[[], "Route"]]:
        """The only way to a port of this machine."""
        from ocattach.tunnel.route import DirectRoute  # noqa: PLC0415 - see `import_tunnel`

        yield lambda: DirectRoute(self.daemon_host(port))


def not_started(error: OSError) -> CommandResult:
    """What a shell would report of a program that could not be started."""
    missing = isinstance(error, FileNotFoundError | NotADirectoryError)
    return CommandResult(COMMAND_NOT_FOUND if missing else CANNOT_EXECUTE, b"", str(error).encode())


class ProcessStream(Stream):
    """A child process whose stdin and stdout are one socket."""

    def __init__(self, argv: Sequence[str]) -> None:
        ours, theirs = socket.socketpair()
        self._socket = ours
        with theirs:
            try:
                self._process = subprocess.Popen(
                    argv,
                    stdin=theirs.fileno(),
                    stdout=theirs.fileno(),
                    stderr=subprocess.DEVNULL,
                    start_new_session=True,
                )
            except OSError as error:
                ours.close()
                raise OcattachError(f"{argv[0]} could not be started on this machine: {error}") from error

    @property
    def socket(self) -> socket.socket:
        return self._socket

    def close(self) -> None:
        self._socket.close()
        try:
            self._process.wait(END_SECONDS)
        except subprocess.TimeoutExpired:
            os.killpg(self._process.pid, signal.SIGKILL)
            self._process.wait()
