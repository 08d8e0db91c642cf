"""A connection to an ssh host, logged in: what both clients, OpenSSH and paramiko, offer the transport."""

import os
import socket
import time
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing, suppress
from itertools import islice
from typing import TypeVar

from ocattach.backoff import Backoff, Deadline
from ocattach.config.targets.ssh import SSHTarget
from ocattach.errors import OcattachError, TimedOutError, UnreachableError
from ocattach.execution import MAX_OUTPUT, CommandResult, Stream, on_error
from ocattach.transports.base import Ask
from ocattach.transports.exchange import exchange
from ocattach.transports.foreground import ForegroundCommand
from ocattach.transports.pump import shut_down
from ocattach.transports.ssh.command import DIAGNOSIS, LOADER, CommandOutput, loader_input

STREAM_SECONDS = 20
"""Time for a login shell to run a command."""

END_SECONDS = 2
T = TypeVar("T")


class SessionRefusedError(UnreachableError):
    """The host is connected, but does not run another command on this connection (MaxSessions)."""

    def __init__(self, place: str, reason: str = "") -> None:
        super().__init__(
            f"{place} runs no further command on this connection{reason}",
            hint="Its MaxSessions may be too low",
        )


class HungUpError(UnreachableError):
    """The host closed the connection before the login, as sshd does at random when it is busy (MaxStartups)."""


def retried(
    attempt: Callable[[], T], refusal: type[OcattachError], pauses: Iterator[float], seconds: float
) -> T:
    """Return what an attempt returns, which is repeated after pauses while it raises a refusal."""
    deadline = Deadline(seconds)
    while True:
        try:
            return attempt()
        except refusal:
            pause = next(pauses, None)
            if pause is None or deadline.left < pause:
                raise
        time.sleep(pause)


def log_in_again(log_in: Callable[[], T], timeout: float) -> T:
    """Return what a login returns, which is tried five times in four seconds while the host hangs up."""
    pauses = islice(Backoff(first=0.3, longest=3, jitter=0.4), 4)
    return retried(log_in, HungUpError, pauses, timeout)


class HostCommand(Stream):
    """A command line that runs on a host. Its stdout is a plain socket, its stderr is kept here."""

    def __init__(self, *, keeps_all: bool) -> None:
        self.stderr = bytearray()
        self._keeps_all = keeps_all

    def take_stderr(self, data: bytes) -> None:
        """Keep the last 4 KiB, or all of it; then a command that prints too much is ended."""
        self.stderr += data
        if not self._keeps_all:
            del self.stderr[:-DIAGNOSIS]
        elif len(self.stderr) > MAX_OUTPUT:
            shut_down(self.socket, socket.SHUT_RDWR)

    def diagnosis(self) -> str:
        return "\n".join(self.stderr.decode(errors="replace").splitlines()).strip()

    @abstractmethod
    def wait(self, timeout: float) -> int:
        """Return the exit code once all is read; negative if the connection was lost. Raises TimeoutError."""


class SSHConnection(ABC):
    """An authenticated connection to one host. Several threads may run commands at once."""

    hostname: str
    user: str

    def __init__(
        self,
        target: SSHTarget,
        *,
        ask: Ask,
        timeout: float,
        remembers: bool = True,
        checks_host_key: bool = True,
        login: str | None = None,
    ) -> None:
        """Connect and log in, by a `shared_login` if there is one. Raises what `check_available` raises.

        For the other arguments see the attributes of `TransportHandler`.
        """
        self.target, self.ask, self.timeout = target, ask, timeout
        self.remembers, self.checks_host_key = remembers, checks_host_key
        self.place = f"host {target.host}"
        """The host as error messages name it."""
        self.open(login)

    @abstractmethod
    def open(self, login: str | None) -> None:
        """Set `hostname` and `user`, connect and log in."""

    @staticmethod
    @abstractmethod
    def key(target: SSHTarget) -> str:
        """Return a key for the connection to a host: the same for all aliases of the host."""

    @property
    @abstractmethod
    def is_open(self) -> bool:
        """Whether commands can still be run. Does not send anything."""

    @abstractmethod
    def start(self, line: str, *, keeps_all: bool, has_input: bool, timeout: float) -> HostCommand:
        """Start a command line without a terminal; without `has_input` the end of its input is not sent.

        Raises SessionRefusedError, ConnectionLostError or TimedOutError.
        """

    @abstractmethod
    def open_foreground(self, line: str, *, size: os.terminal_size | None) -> ForegroundCommand:
        """Start a command line on a new terminal of this size, or without one. Raises as `run` does."""

    def judge(self, code: int, output: CommandOutput) -> int:  # noqa: ARG002
        """Return an exit code, negative if the connection was lost. Raises SessionRefusedError."""
        return code

    def check_alive(self) -> None:  # noqa: B027 - paramiko notices by itself
        """Leave a connection that hangs. Called after a command that did not end in time."""

    def run(self, argv: Sequence[str], *, stdin: bytes, timeout: float) -> CommandResult:
        """Run a command by `command.LOADER`, and wait at most `timeout` seconds for it.

        Raises SessionRefusedError, ConnectionLostError, TimedOutError, TooMuchOutputError, or OcattachError with the
        login shell's own output if that did not run the command.
        """
        deadline = Deadline(timeout)
        script = loader_input(argv, has_more=bool(stdin))
        with closing(self.start(LOADER, keeps_all=True, has_input=bool(stdin), timeout=timeout)) as command:
            output = CommandOutput(self.place, command.stderr)
            try:
                with suppress(ConnectionResetError):  # the command has ended without reading all of its input
                    for data in exchange(command.socket, script + stdin, time.monotonic() + timeout):
                        output.feed(data)
                output.check()
                code = command.wait(deadline.left)
            except (TimeoutError, TimedOutError) as error:
                command.close()  # what it prints may keep the connection busy
                self.check_alive()
                raise output.timed_out(timeout) from error
            return output.result(self.judge(code, output))

    def open_stream(self, argv: Sequence[str]) -> Stream:
        """Start a command by `command.LOADER`, with the stream as its stdin and stdout.

        Returns once the login shell runs the command. Raises as `run` does.
        """
        timeout = min(STREAM_SECONDS, self.timeout)
        deadline = Deadline(timeout)
        command = self.start(LOADER, keeps_all=False, has_input=True, timeout=timeout)
        with on_error(command.close):
            output = CommandOutput(self.place, command.stderr)
            try:
                command.socket.settimeout(deadline.left)
                with suppress(
                    BrokenPipeError, ConnectionResetError
                ):  # the command has ended, and may say why
                    command.socket.sendall(loader_input(argv))
                with suppress(ConnectionResetError):
                    output.feed_from(command.socket, deadline)
                if not output.begun:
                    output.result(self.judge(command.wait(END_SECONDS), output))
            except (TimeoutError, TimedOutError) as error:
                command.close()
                self.check_alive()
                raise output.timed_out(timeout) from error
            command.socket.settimeout(None)
        return command

    def shared_login(self) -> str | None:
        """Return what other processes need to use this connection; None if they cannot."""
        return None

    @abstractmethod
    def close(self) -> None:
        """Close the connection and all of its commands. Closing twice is harmless."""
