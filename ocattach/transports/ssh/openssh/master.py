"""A master: the ssh process in the background whose connection all commands use (ControlMaster, ssh_config(5))."""

import os
import re
import secrets
import signal
import socket
import subprocess
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path

from ocattach.config.files.paths import runtime_directory
from ocattach.config.targets.ssh import SSHTarget
from ocattach.transports.ssh.openssh.settings import host_options

CONTROL_SECONDS = 3
"""Time for a master to answer `ssh -O`."""

LONGEST_DIRECTORY = 60
"""ssh first binds DIRECTORY/ssh-PID-01234567/master.0123456789abcdef; the path of a socket has 104 bytes on macOS."""

SHORT_DIRECTORY = Path("/tmp")  # noqa: S108 - what is made there is private, and its name is not predictable

KEEPER = """\
path=$1 host=$2 directory=$3
shift 3
"$@" </dev/null || exit
echo ready
ssh -F none -S "$path" -O check -- "$host" 2>&1
read -r _
ssh -F none -S "$path" -O exit -- "$host" 2>&1
cd "$directory" && rm -f master ask askpass added revoked && cd .. && rmdir "$directory"
"""
"""Logs in by its arguments; ends the master and removes its directory once its own input ends, as if we are killed."""

RUNNING = re.compile(r"Master running \(pid=(\d+)\)")


def users_master(target: SSHTarget) -> str | None:
    """Return the pid of the user's own master for a host, if one answers."""
    answer = control(("ssh", "-O", "check", *host_options(target), "--", target.host))
    return running_pid(answer)


def running_pid(answer: str) -> str | None:
    """Return the pid in the answer to `ssh -O check`."""
    found = RUNNING.search(answer)
    return found[1] if found else None


def control(argv: Sequence[str]) -> str:
    """Run `ssh -O`, and return what it prints; empty if the master does not answer in time."""
    try:
        done = subprocess.run(
            argv,
            cwd="/",
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            timeout=CONTROL_SECONDS,
            check=False,
        )
    except subprocess.TimeoutExpired:
        return ""
    return done.stdout.decode(errors="replace")


class Master:
    """Our own master, in a private directory. Closing it twice is harmless."""

    def __init__(self, target: SSHTarget, environ: Mapping[str, str]) -> None:
        self._host = target.host
        self.directory = control_directory(environ)
        self._keeper: subprocess.Popen[bytes] | None = None

    @property
    def control_path(self) -> str:
        """The value of ControlPath, in which `%` begins a token."""
        return str(self.socket).replace("%", "%%")

    @property
    def socket(self) -> Path:
        return self.directory / "master"

    def command(self, login: Sequence[str]) -> list[str]:
        """Return the command that runs a login command and keeps its master for us."""
        return ["sh", "-c", KEEPER, "sh", self.control_path, self._host, str(self.directory), *login]

    def keep(self, keeper: subprocess.Popen[bytes]) -> None:
        """Take over the process of `command`, once the master has logged in."""
        self._keeper = keeper

    @property
    def is_running(self) -> bool:
        """Whether its socket accepts connections."""
        return accepts(self.socket)

    def _argv(self, what: str) -> list[str]:
        return ["ssh", "-F", "none", "-S", self.control_path, "-O", what, "--", self._host]

    def answers(self) -> bool:
        """Whether the master answers `ssh -O check` in time; one that hangs does not."""
        return running_pid(control(self._argv("check"))) is not None

    def close(self) -> None:
        """End the master with all that runs over it, by a signal if it hangs."""
        keeper, self._keeper = self._keeper, None
        if keeper is not None:
            self._end(keeper)
        elif self.is_running:  # the login was given up as it succeeded
            control(self._argv("exit"))
        remove(self.directory)

    def _end(self, keeper: subprocess.Popen[bytes]) -> None:
        try:
            answer, _ = keeper.communicate(timeout=CONTROL_SECONDS)
        except subprocess.TimeoutExpired:
            with suppress(ProcessLookupError):
                os.killpg(keeper.pid, signal.SIGKILL)
            answer, _ = keeper.communicate()
        pid = running_pid(answer.decode(errors="replace"))
        # The pid is the master's as long as its socket accepts connections.
        if pid is not None and self.is_running:
            with suppress(ProcessLookupError):
                os.kill(int(pid), signal.SIGKILL)


class BorrowedMaster(Master):
    """The master of another of our processes, which alone ends it."""

    def __init__(self, target: SSHTarget, socket: Path) -> None:
        self._host = target.host
        self.directory = socket.parent

    def close(self) -> None:
        """Leave it as it is."""


def accepts(path: Path) -> bool:
    """Whether a process accepts connections on a socket."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as connection:
        connection.settimeout(CONTROL_SECONDS)
        try:
            connection.connect(str(path))
        except TimeoutError:
            return True
        except OSError:
            return False
    return True


def control_directory(environ: Mapping[str, str]) -> Path:
    """Make a private directory with a short path, and remove those of processes that were killed."""
    runtime = runtime_directory(environ)
    for former in runtime.glob("ssh-*-*"):
        if not is_alive(former.name.split("-")[1]) and not accepts(former / "master"):
            remove(former)
    # ssh expands ${VARIABLE} in a ControlPath, too.
    is_usable = len(os.fsencode(runtime)) <= LONGEST_DIRECTORY and "${" not in str(runtime)
    directory = (runtime if is_usable else SHORT_DIRECTORY) / f"ssh-{os.getpid()}-{secrets.token_hex(4)}"
    directory.mkdir(mode=0o700)
    return directory


def remove(directory: Path) -> None:
    """Remove a control directory, as far as its files are ours to remove; `shutil` would load compression."""
    with suppress(OSError):
        for file in directory.iterdir():
            file.unlink(missing_ok=True)
        directory.rmdir()


def is_alive(pid: str) -> bool:
    """Whether a process of this account exists."""
    try:
        os.kill(int(pid), 0)
    except (ProcessLookupError, ValueError, OverflowError):
        return False
    except PermissionError:
        return True
    return True
