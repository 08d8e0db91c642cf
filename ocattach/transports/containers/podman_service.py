"""Podman's API service, started by us where none runs, and ended with us."""

import select
import shutil
import socket
import subprocess
import tempfile
import time
from pathlib import Path
from typing import Self

from ocattach.errors import TimedOutError, UnreachableError

SOCKET, LOG = "api", "log"

# The shell outlives us by a moment: its input ends when we do, in whatever way, and then it ends the service.
# What is killed because it will not end leaves nothing: a service has no state but its connections.
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
    """A `podman system service` of this account's, on a socket that only it can reach."""

    def __init__(self, folder: Path, process: "subprocess.Popen[bytes]") -> None:
        self._folder = folder
        self._process = process

    @classmethod
    def start(cls, program: str, *, at: Path, timeout: float) -> Self:
        """Start it in a new folder below `at`; returns once it answers."""
        folder = Path(tempfile.mkdtemp(prefix="podman-", dir=at))
        # --time 0: without a client it would end after five seconds (podman-system-service(1)).
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
        try:
            service.await_answer(timeout)
        except BaseException:
            service.close()
            raise
        return service

    @property
    def url(self) -> str:
        """The address of its API."""
        return f"unix://{self._folder / SOCKET}"

    def await_answer(self, timeout: float) -> None:
        """Return when it takes connections; raises UnreachableError with what it said when it ends instead."""
        deadline = time.monotonic() + timeout
        while not listens(self._folder / SOCKET):
            if self._has_ended():
                raise UnreachableError(
                    f"podman system service did not start: {self._last_words()}", hint="Try: podman info"
                )
            if time.monotonic() > deadline:
                raise TimedOutError(
                    f"podman system service did not answer in {timeout:.0f} s", hint="Try: podman info"
                )
            time.sleep(LOOK_SECONDS)

    def _has_ended(self) -> bool:
        """Whether the service has: it alone holds the output, on which it says nothing."""
        output = self._process.stdout
        return output is None or bool(select.select([output], [], [], 0)[0])

    def _last_words(self) -> str:
        lines = (self._folder / LOG).read_text(errors="replace").strip().splitlines()
        return lines[-1] if lines else "it said nothing"

    def close(self) -> None:
        """End it, and leave nothing of it. Closing twice is harmless."""
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
    """Whether anybody takes connections on a socket."""
    with socket.socket(socket.AF_UNIX) as connection:
        try:
            connection.connect(str(path))
        except OSError:
            return False
    return True
