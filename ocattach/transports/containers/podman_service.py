"""Podman's API service, started if none runs, for the lifetime of this process."""

import select
import shutil
import socket
import subprocess
import tempfile
import time
from pathlib import Path
from typing import Self

from ocattach.errors import TimedOutError, UnreachableError
from ocattach.execution import on_error

SOCKET, LOG = "api", "log"

# The shell's input ends when our process does, even if killed; the shell then stops the service.
# Killing the service is safe: it has no state but its connections.
SCRIPT = """\
"$@" </dev/null &
service=$!
exec >&-
read -r _
kill "$service"
for _ in 1 2 3 4 5 6 7 8 9 10; do
    kill -0 "$service" 2>/dev/null || break
    sleep 0.2
done
kill -9 "$service" 2>/dev/null
rm -rf "$0"
"""

END_SECONDS = 10
LOOK_SECONDS = 0.02


class PodmanService:
    """A `podman system service` on a socket that only this user can reach."""

    def __init__(self, folder: Path, process: "subprocess.Popen[bytes]") -> None:
        self._folder = folder
        self._process = process

    @classmethod
    def start(cls, program: str, *, at: Path, timeout: float) -> Self:
        """Start the service in a new folder below `at`; return when it answers."""
        folder = Path(tempfile.mkdtemp(prefix="podman-", dir=at))
        # Without --time 0 it would end after five seconds without a client (podman-system-service(1)).
        command = [program, "system", "service", "--time", "0", f"unix://{folder / SOCKET}"]
        with (folder / LOG).open("wb") as log:
            (folder / LOG).chmod(0o600)
            process = subprocess.Popen(
                ["sh", "-c", SCRIPT, folder, *command],  # noqa: S607  as PATH has it
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=log,
                start_new_session=True,
            )
        service = cls(folder, process)
        with on_error(service.close):
            service.await_answer(timeout)
        return service

    @property
    def url(self) -> str:
        """The address of the API."""
        return f"unix://{self._folder / SOCKET}"

    def await_answer(self, timeout: float) -> None:
        """Wait until the service accepts connections. Raises UnreachableError with its output if it ends."""
        deadline = time.monotonic() + timeout
        while not listens(self._folder / SOCKET):
            if self._has_ended():
                lines = (self._folder / LOG).read_text(errors="replace").strip().splitlines()
                reason = lines[-1] if lines else "it printed nothing"
                raise UnreachableError(
                    f"podman system service did not start: {reason}", hint="Try: podman info"
                )
            if time.monotonic() > deadline:
                raise TimedOutError(
                    f"podman system service did not answer within {timeout:.0f} s", hint="Try: podman info"
                )
            time.sleep(LOOK_SECONDS)

    def _has_ended(self) -> bool:
        """Return whether the service has ended: only it holds the pipe, and it writes nothing."""
        output = self._process.stdout
        return output is None or bool(select.select([output], [], [], 0)[0])

    def close(self) -> None:
        """Stop the service and remove its folder. Closing twice is harmless."""
        for pipe in (self._process.stdin, self._process.stdout):
            if pipe is not None:
                pipe.close()
        try:
            self._process.wait(END_SECONDS)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        shutil.rmtree(self._folder, ignore_errors=True)


def listens(path: Path) -> bool:
    """Return whether a socket accepts connections."""
    with socket.socket(socket.AF_UNIX) as connection:
        try:
            connection.connect(str(path))
        except OSError:
            return False
    return True
