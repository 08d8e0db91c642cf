"""A connection to an ssh host by OpenSSH: a master that has logged in, and a process for each command."""

import os
import random
import signal
import subprocess
import time
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path

from ocattach.backoff import Deadline
from ocattach.config.targets.ssh import SSHTarget
from ocattach.errors import OcattachError
from ocattach.execution import CommandResult, Stream
from ocattach.transports.base import Ask, NoPerson
from ocattach.transports.foreground import ForegroundCommand, LocalProgram
from ocattach.transports.process import Exchange, ProcessStream
from ocattach.transports.ssh.command import LOADER, CommandOutput, loader_input
from ocattach.transports.ssh.connection import SessionRefusedError, SSHConnection
from ocattach.transports.ssh.key_file import own_key_file
from ocattach.transports.ssh.openssh.errors import Failure, is_hung_up, login_error
from ocattach.transports.ssh.openssh.login import Login, LoginResult
from ocattach.transports.ssh.openssh.master import BorrowedMaster, Master, users_master
from ocattach.transports.ssh.openssh.messages import Messages
from ocattach.transports.ssh.openssh.revoked import write_revoked_keys
from ocattach.transports.ssh.openssh.settings import (
    OVER_USERS_MASTER,
    command_argv,
    is_quiet,
    jump_hosts,
    master_argv,
    over_master,
    read_settings,
)

FAILED = 255
"""The exit code of ssh when it could not run a command, or was cut off (ssh(1))."""

REFUSED = b"Session open refused by peer"
"""What a command prints that the host does not run on this connection (mux.c)."""

GREETING_TRIES = 5
"""How often a host may close the connection before the login: sshd does so at random when it is busy (MaxStartups)."""

GREETING_PAUSE = 0.25
"""Seconds before the second try, doubled before each further one: four in all."""

STREAM_SECONDS = 20
"""Time for a login shell to run a command."""

END_SECONDS = 2
DIAGNOSIS_SECONDS = 0.5
"""Time for ssh to end, and for its last messages, once the stream has ended."""

unusable_masters: set[str] = set()
"""The pids of masters of the user's own that did not answer in time; this process does not use them again."""


class OpenSSHConnection(SSHConnection):
    """A master for one host, our own or the user's, and the commands that run over it."""

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
        """Log in, unless there is a `shared_login`, or a master of the user's own is logged in.

        Raises what `check_available` raises.
        """
        own_key_file(target)
        self._target = target
        self._remembers, self._checks_host_key = remembers, checks_host_key
        self._settings = read_settings(target)
        self.hostname, self.user = self._settings.hostname, self._settings["user"]
        self._jumps = jump_hosts(self._settings)
        self._place = f"host {target.host}"
        self._is_lost = False
        self._users_pid = self._usable_master()
        self._master = None if self._users_pid else self._borrowed(login) or self._log_in(ask, timeout)

    def _usable_master(self) -> str | None:
        pid = users_master(self._target) if self._settings["controlpath"] else None
        return None if pid in unusable_masters else pid

    def _borrowed(self, login: str | None) -> Master | None:
        master = BorrowedMaster(self._target, Path(login)) if login else None
        return master if master and master.is_running and master.answers() else None

    def shared_login(self) -> str | None:
        return None if self._master is None else str(self._master.socket)

    def _log_in(self, ask: Ask, timeout: float) -> Master:
        deadline = Deadline(timeout)
        for tried in range(GREETING_TRIES):
            master = Master(self._target, os.environ)
            try:
                result = self._try_login(master, ask, timeout)
                if result.process is not None:
                    master.keep(result.process)
                    return master
            except BaseException:
                master.close()
                raise
            master.close()
            pause = GREETING_PAUSE * 2**tried * random.uniform(0.75, 1.25)  # noqa: S311 - spreads those who wait
            if not is_hung_up(result) or tried == GREETING_TRIES - 1 or deadline.left < pause:
                raise login_error(Failure(self._target, self._settings, self._jumps, result, ask, timeout))
            time.sleep(pause)
        raise AssertionError(GREETING_TRIES)

    def _try_login(self, master: Master, ask: Ask, timeout: float) -> LoginResult:
        attended = not isinstance(ask, NoPerson)
        revoked = master.directory / "revoked"
        login = master_argv(
            self._target,
            self._settings,
            master.control_path,
            attended=attended,
            checks_host_key=self._checks_host_key,
            added=None if self._remembers else master.directory / "added",
            revoked=revoked if write_revoked_keys(self._settings, revoked) else None,
        )
        command = master.command(login)
        login_run = Login(command, master.directory, host=self._target.host, ask=ask, timeout=timeout)
        return login_run.run(is_quiet=is_quiet(self._settings))

    @property
    def is_open(self) -> bool:
        return not self._is_lost and (self._master is None or self._master.is_running)

    def run(self, argv: Sequence[str], *, stdin: bytes, timeout: float) -> CommandResult:
        output = CommandOutput(self._place)
        try:
            process = subprocess.Popen(
                self._argv(),
                cwd="/",
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
                start_new_session=True,
            )
        except OSError as error:
            raise not_started(error) from error
        with process:
            try:
                Exchange(
                    process, loader_input(argv) + stdin, stdout=output.take_stdout, stderr=output.take_stderr
                ).run(time.monotonic() + timeout)
            except TimeoutError as error:
                self._check_master()
                raise output.timed_out(timeout) from error
            finally:
                if process.poll() is None:
                    os.killpg(process.pid, signal.SIGKILL)
        return output.result(self._judged(process.returncode, output))

    def open_stream(self, argv: Sequence[str]) -> Stream:
        output = CommandOutput(self._place)
        stream = CommandStream(self._argv())
        try:
            stream.socket.settimeout(STREAM_SECONDS)
            stream.socket.sendall(loader_input(argv))
            output.stdout.feed_from(stream.socket, Deadline(STREAM_SECONDS))
            if output.stdout.begun:
                return stream
            code = stream.wait()
        except TimeoutError as error:
            stream.close()
            self._check_master()
            raise output.timed_out(STREAM_SECONDS) from error
        except OSError:
            code = FAILED
        output.stderr += stream.diagnosis().encode()
        stream.close()
        output.result(self._judged(code, output))
        raise output.not_run()

    def open_foreground(self, line: str, *, size: os.terminal_size | None) -> ForegroundCommand:
        # Over a master, ssh exits with the same code for all signals (mux.c).
        return LocalProgram(tuple(self._argv(line, terminal=size is not None)), signalled=FAILED)

    def _argv(self, line: str = LOADER, *, terminal: bool = False) -> list[str]:
        control = OVER_USERS_MASTER if self._master is None else over_master(self._master.control_path)
        return command_argv(self._target, self._settings, control, line, terminal=terminal)

    def _judged(self, code: int, output: CommandOutput) -> int:
        """Return the exit code, negative if the connection was lost. Raises SessionRefusedError."""
        if code != FAILED:
            return code
        if REFUSED in output.stderr and not output.stdout.begun:
            raise SessionRefusedError(
                f"{self._target.host} runs no further command on this connection",
                hint="Its MaxSessions may be too low",
            )
        if self._master is None:
            self._is_lost = users_master(self._target) is None
        return code if self.is_open else -1

    def _check_master(self) -> None:
        """After a command that did not end in time: leave a master that hangs, and one whose host may be gone."""
        if self._users_pid is not None:
            unusable_masters.add(self._users_pid)
            self._is_lost = True
        elif self._master is not None and not self._master.answers():
            self.close()

    def close(self) -> None:
        self._is_lost = True
        if self._master is not None:
            self._master.close()


class CommandStream(ProcessStream):
    """A command over a master, and what it prints on stderr."""

    def __init__(self, argv: list[str]) -> None:
        self._messages = Messages()
        try:
            super().__init__(argv, stderr=self._messages.writer)
        finally:
            self._messages.started()
            self._messages.keep_reading()

    def wait(self) -> int:
        """Return the exit code of ssh once it has ended."""
        try:
            return self._process.wait(END_SECONDS)
        except subprocess.TimeoutExpired:
            return FAILED

    def is_whole(self) -> bool:
        return self.wait() != FAILED

    def close(self) -> None:
        # The host may not answer any more: nothing is waited for.
        if self._process.poll() is None:
            self._process.terminate()
        super().close()
        self._messages.join(END_SECONDS)  # a master keeps the pipe until it has closed the command

    def diagnosis(self) -> str:
        with suppress(subprocess.TimeoutExpired):
            self._process.wait(DIAGNOSIS_SECONDS)  # the master closes the socket first
            self._messages.join(DIAGNOSIS_SECONDS)
        return self._messages.text()


def not_started(error: OSError) -> OcattachError:
    """Return the error for an ssh that cannot be run."""
    return OcattachError(f"ssh cannot be run on this machine: {error.strerror}", hint="Check: command -v ssh")
