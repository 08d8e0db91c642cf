"""A disk of a program's own, which can fill up or lose its power, in a mount namespace that ends with the program."""

import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Self

import psutil

from ocattach.config.saved import SavedConnections
from tests.rigs.availability import Unavailable, need
from tests.rigs.waiting import wait_until

MOUNT = 'mount "$1" "$2" "$3" "$4" && shift 4 && exec "$@"'
TMPFS = ("-ttmpfs", "-osize=64k")
EXT4 = ("-text4", "-oloop,commit=300,data=writeback,noauto_da_alloc")
"""Nothing reaches this disk by itself, neither in order nor as a kindness to programs that forget to ask for it."""

IDLE = ("sh", "-c", "echo ready; exec cat")
SECONDS = 20


class Disk:
    """A disk on which a program works that alone sees it, besides ourselves."""

    def __init__(
        self, kind: Sequence[str], source: Path, mount_point: Path, program: Sequence[str] = IDLE
    ) -> None:
        """Mount it, and have the program ready."""
        need("unshare", "mount", root=True)
        mount_point.mkdir(exist_ok=True)
        self._process = subprocess.Popen(
            ["unshare", "--mount", "sh", "-c", MOUNT, "sh", *kind, source, mount_point, *program],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            cwd=Path(__file__).parents[2],
        )
        if self.read() != "ready":
            self.close()
            raise Unavailable("no disk of one's own can be mounted")
        self.saved = SavedConnections(Path(f"/proc/{self._process.pid}/root") / mount_point.relative_to("/"))

    def read(self) -> str:
        """The next line that the program says."""
        assert self._process.stdout
        return self._process.stdout.readline().rstrip("\n")

    def tell(self, line: str) -> None:
        """Give the program a line."""
        assert self._process.stdin
        self._process.stdin.write(f"{line}\n")
        self._process.stdin.flush()

    def close(self) -> None:
        """End the program, and with it the disk."""
        self._process.kill()
        self._process.communicate()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


class Saver(Disk):
    """The program that saves connections, on a disk of its own."""

    def __init__(self, kind: Sequence[str], source: Path, mount_point: Path) -> None:
        """Mount the disk where only the program sees it."""
        super().__init__(
            kind, source, mount_point, [sys.executable, "-m", "tests.config.saver", str(mount_point)]
        )

    def save(self, *injections: str) -> str:
        """Save while strace makes a system call fail, or kills at it; what became of that."""
        pid = self.begin()
        return self.finish(pid, *injections)

    def begin(self) -> int:
        """A new process that is about to save, and stopped."""
        self.tell("save")
        pid = int(self.read())
        wait_until(lambda: psutil.Process(pid).status() == psutil.STATUS_STOPPED, "it to stop")
        return pid

    def finish(self, pid: int, *injections: str, log: Path | None = None) -> str:
        """Let it go under strace."""
        if not (injections or log):
            psutil.Process(pid).send_signal(signal.SIGCONT)
            return self.read()
        options = ["-o", str(log), "-e", "trace=%file,%desc"] if log else ["-o", "/dev/null", *injections]
        tracer = subprocess.Popen(["strace", "-p", str(pid), *options], stderr=subprocess.PIPE, text=True)
        with tracer:
            assert tracer.stderr
            said = tracer.stderr.readline()
            if "attached" not in said:
                raise Unavailable(f"strace: {said}")
            psutil.Process(pid).send_signal(signal.SIGCONT)
            outcome = self.read()
            tracer.communicate(timeout=SECONDS)
        return outcome


def make_disk(image: Path) -> None:
    """A disk with nothing on it, as a file."""
    need("mkfs.ext4", root=True)
    with image.open("wb") as file:
        file.truncate(8 * 1024 * 1024)
    subprocess.run(["mkfs.ext4", "-q", "-F", image], check=True)


@contextmanager
def after_power_cut(image: Path, folder: Path) -> Iterator[SavedConnections]:
    """What is found when the disk is used again, of which only that is left which has reached it."""
    copy = folder / "copy"
    shutil.copyfile(image, copy)
    with Disk(EXT4, copy, folder / "again") as again:
        yield again.saved


def calls(log: Path) -> Sequence[str]:
    """The names of the system calls in a log of strace's, up to the one that says what became of the save."""
    names = [line.partition("(")[0] for line in log.read_text().splitlines() if line[:1].isalpha()]
    return names[: len(names) - 1 - names[::-1].index("write")]
