"""A connection to an ssh host by OpenSSH: a master that has logged in, and a process for each command."""

import os
import subprocess
from contextlib import suppress
from pathlib import Path

from ocattach.backoff import Deadline
from ocattach.config.targets.ssh import SSHTarget
from ocattach.execution import on_error
from ocattach.transports.base import NoPerson
from ocattach.transports.foreground import ForegroundCommand, LocalProgram
from ocattach.transports.process import ProcessStream
from ocattach.transports.ssh.command import CommandOutput
from ocattach.transports.ssh.connection import (
    END_SECONDS,
    HostCommand,
    HungUpError,
    SessionRefusedError,
    SSHConnection,
    log_in_again,
)
from ocattach.transports.ssh.key_file import own_key_file
from ocattach.transports.ssh.openssh import settings
from ocattach.transports.ssh.openssh.errors import Failure
from ocattach.transports.ssh.openssh.login import Login
from ocattach.transports.ssh.openssh.master import BorrowedMaster, Master, control
from ocattach.transports.ssh.openssh.messages import Messages

FAILED = 255
"""The exit code of ssh when it could not run a command, or was cut off (ssh(1))."""

REFUSED = b"Session open refused by peer"
"""What a command prints that the host does not run on this connection (mux.c)."""

DIAGNOSIS_SECONDS = 0.5
"""Time for ssh to end, and for its last messages, once the stream has ended."""

unusable_masters: set[str] = set()
"""The pids of masters of the user's own that did not answer in time; this process does not use them again."""


class OpenSSHConnection(SSHConnection):
    """A master for one host, our own or the user's, and the commands that run over it."""

    def open(self, login: str | None) -> None:
        own_key_file(self.target)
        self._settings = settings.read_settings(self.target)
        self.hostname, self.user = self._settings.hostname, self._settings["user"]
        self._jumps = settings.jump_hosts(self._settings)
        self._is_lost = False
        users_pid = self._users_master() if self._settings["controlpath"] else None
        self._users_pid = None if users_pid in unusable_masters else users_pid
        self._master: BorrowedMaster | None = None
        if self._users_pid is None:
            borrowed = BorrowedMaster(self.target.host, Path(login).parent) if login else None
            is_usable = borrowed and borrowed.is_running and borrowed.answers()
            self._master = borrowed if is_usable else log_in_again(self._log_in, self.timeout)

    @staticmethod
    def key(target: SSHTarget) -> str:
        return f"ssh\n{settings.read_settings(target).text}"

    def _users_master(self) -> str | None:
        return control("check", settings.host_options(self.target), self.target.host)

    def shared_login(self) -> str | None:
        return None if self._master is None else str(self._master.socket)

    def _log_in(self) -> Master:
        """Return a master that has logged in. Raises HungUpError, and what `check_available` raises."""
        master = Master(self.target.host)
        with on_error(master.close):
            revoked = master.directory / "revoked"
            argv = settings.master_argv(
                self.target,
                self._settings,
                master.control_path,
                attended=not isinstance(self.ask, NoPerson),
                checks_host_key=self.checks_host_key,
                added=None if self.remembers else master.directory / "added",
                revoked=revoked if settings.write_revoked_keys(self._settings, revoked) else None,
            )
            login = Login(
                master.command(argv),
                master.directory,
                host=self.target.host,
                ask=self.ask,
                timeout=self.timeout,
                is_quiet=self._settings.is_quiet,
            )
            master.keeper = login.run()
            if master.keeper is None:
                failure = Failure(self.target, self._settings, self._jumps, login, self.ask, self.timeout)
                error = failure.error()
                raise HungUpError(error.message, hint=error.hint) if failure.is_hung_up else error
        return master

    @property
    def is_open(self) -> bool:
        return not self._is_lost and (self._master is None or self._master.is_running)

    def start(self, line: str, *, keeps_all: bool, has_input: bool, timeout: float) -> HostCommand:  # noqa: ARG002
        return OpenSSHCommand(self._argv(line), keeps_all=keeps_all)

    def open_foreground(self, line: str, *, size: os.terminal_size | None) -> ForegroundCommand:
        # Over a master, ssh exits with the same code for all signals (mux.c).
        return LocalProgram(tuple(self._argv(line, terminal=size is not None)), signalled=FAILED)

    def _argv(self, line: str, *, terminal: bool = False) -> list[str]:
        control = (
            settings.OVER_USERS_MASTER
            if self._master is None
            else settings.over_master(self._master.control_path)
        )
        return settings.command_argv(self.target, self._settings, control, line, terminal=terminal)

    def judge(self, code: int, output: CommandOutput) -> int:
        if code != FAILED:
            return code
        if REFUSED in output.stderr and not output.begun:
            raise SessionRefusedError(self.place)
        if self._master is None:
            self._is_lost = self._users_master() is None
        return code if self.is_open else -1

    def check_alive(self) -> None:
        if self._users_pid is not None:
            unusable_masters.add(self._users_pid)
            self._is_lost = True
        elif self._master is not None and not self._master.answers():
            self.close()

    def close(self) -> None:
        self._is_lost = True
        if self._master is not None:
            self._master.close()


class OpenSSHCommand(ProcessStream, HostCommand):
    """An ssh that runs a command over a master, which keeps the pipe of stderr until it has closed the command."""

    def __init__(self, argv: list[str], *, keeps_all: bool = False) -> None:
        HostCommand.__init__(self, keeps_all=keeps_all)
        self._messages = Messages(self.take_stderr)
        try:
            super().__init__(argv, stderr=self._messages.writer)
        finally:
            os.close(self._messages.writer)
            self._messages.keep_reading()

    def wait(self, timeout: float) -> int:
        deadline = Deadline(timeout)
        try:
            code = self._process.wait(timeout)
        except subprocess.TimeoutExpired as error:
            raise TimeoutError from error
        if not self._messages.join(deadline.left):
            raise TimeoutError
        return code

    def is_whole(self) -> bool:
        try:
            return self.wait(END_SECONDS) != FAILED
        except TimeoutError:
            return False

    def diagnosis(self) -> str:
        with suppress(TimeoutError):
            self.wait(DIAGNOSIS_SECONDS)  # the master closes the socket before ssh has said why
        return super().diagnosis()

    def close(self) -> None:
        # The host may not answer any more: nothing is waited for.
        if self._process.poll() is None:
            self._process.terminate()
        super().close()
        self._messages.join(END_SECONDS)
