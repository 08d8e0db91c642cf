"""A master: the ssh process in the background whose connection all commands use (ControlMaster, ssh_config(5))."""

import os
import re
import secrets
import signal
import socket
import subprocess
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path

from ocattach.config.files.paths import runtime_directory

CONTROL_SECONDS = 3
"""Time for a master to answer `ssh -O`."""

LONGEST_DIRECTORY = 60
"""ssh first binds DIRECTORY/ssh-PID-01234567/master.0123456789abcdef; the path of a socket has 104 bytes on macOS."""

SHORT_DIRECTORY = Path("/tmp")  # noqa: S108 - what is made there is private, and its name is not predictable

KEEPER = """\
path=$1 host=$2 directory=$3
shift 3
end() {
    ssh -F none -S "$path" -O exit -- "$host" 2>&1
    cd "$directory" && rm -f master ask askpass added revoked && cd .. && rmdir "$directory"
}
trap end EXIT
"$@" </dev/null || exit
echo ready
ssh -F none -S "$path" -O check -- "$host" 2>&1
read -r _
"""
"""Logs in by its arguments; ends the master and removes its directory once its own input ends, as if we are killed."""

RUNNING = re.compile(rb"Master running \(pid=(\d+)\)")


def control(what: str, options: Sequence[str], host: str) -> str | None:
    """Run `ssh -O`, and return the master's pid if it answers in time, which one that hangs does not."""
    argv = ["ssh", *options, "-O", what, "--", host]
    with suppress(subprocess.TimeoutExpired):
        done = subprocess.run(
            argv,
            cwd="/",
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            timeout=CONTROL_SECONDS,
            check=False,
        )
        return running_pid(done.stdout)
    return None


def running_pid(answer: bytes) -> str | None:
    """Return the pid in the answer to `ssh -O check`."""
    found = RUNNING.search(answer)
    return found[1].decode() if found else None


class BorrowedMaster:
    """The master of another of our processes, which alone ends it."""

    def __init__(self, host: str, directory: Path) -> None:
        self._host = host
        self.directory = directory
        self.socket = directory / "master"
        self.control_path = str(self.socket).replace("%", "%%")
        """The value of ControlPath, in which `%` begins a token."""

    @property
    def is_running(self) -> bool:
        """Whether its socket accepts connections."""
        with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as connection:
            connection.settimeout(CONTROL_SECONDS)
            try:
                connection.connect(str(self.socket))
            except TimeoutError:
                return True
            except OSError:
                return False
        return True

    def answers(self, what: str = "check") -> bool:
        """Whether the master answers `ssh -O` in time."""
        return control(what, ["-F", "none", "-S", self.control_path], self._host) is not None

    def close(self) -> None:
        """Leave it as it is."""


class Master(BorrowedMaster):
    """Our own master, in a private directory with a short path. Closing it twice is harmless."""

    def __init__(self, host: str) -> None:
        runtime = runtime_directory(os.environ)
        # ssh expands ${VARIABLE} in a ControlPath, too.
        is_usable = len(os.fsencode(runtime)) <= LONGEST_DIRECTORY and "${" not in str(runtime)
        name = f"ssh-{os.getpid()}-{secrets.token_hex(4)}"
        super().__init__(host, (runtime if is_usable else SHORT_DIRECTORY) / name)
        self.directory.mkdir(mode=0o700)
        self.keeper: subprocess.Popen[bytes] | None = None
        """The process of `command`, once the master has logged in."""

    def command(self, login: Sequence[str]) -> list[str]:
        """Return the command that runs a login command and keeps its master for us."""
        return ["sh", "-c", KEEPER, "sh", self.control_path, self._host, str(self.directory), *login]

    def close(self) -> None:
        """End the master with all that runs over it, by a signal if it hangs."""
        keeper, self.keeper = self.keeper, None
        if keeper is not None:
            self._end(keeper)
        elif self.is_running:  # the login was given up as it succeeded
            self.answers("exit")
        with suppress(OSError):  # as far as the files are ours to remove; `shutil` would load compression
            for file in self.directory.iterdir():
                file.unlink(missing_ok=True)
            self.directory.rmdir()

    def _end(self, keeper: subprocess.Popen[bytes]) -> None:
        try:
            answer, _ = keeper.communicate(timeout=CONTROL_SECONDS)
        except subprocess.TimeoutExpired:
            with suppress(ProcessLookupError):
                os.killpg(keeper.pid, signal.SIGKILL)
            answer, _ = keeper.communicate()
        pid = running_pid(answer)
        # The pid is the master's as long as its socket accepts connections.
        if pid is not None and self.is_running:
            with suppress(ProcessLookupError):
                os.kill(int(pid), signal.SIGKILL)
