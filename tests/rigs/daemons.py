"""Daemons of a confined machine, each of which can be ended and started again while all else there goes on."""

import signal
import subprocess
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path

import psutil

from tests.rigs.namespaces import Confined
from tests.rigs.waiting import wait_until


class Daemon:
    """One program. It ends with its machine, too."""

    def __init__(
        self,
        machine: Confined,
        argv: Sequence[str | Path],
        log: Path,
        *,
        environment: Mapping[str, str] | None = None,
    ) -> None:
        """Nothing runs before `start`; the environment is this process's own unless given."""
        self.name = Path(argv[0]).name
        self.log = log
        self._machine = machine
        self._argv = [str(word) for word in argv]
        self._environment = environment
        self._entry: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        """Start it; whether it serves is asked elsewhere."""
        with self.log.open("ab") as output:
            self._entry = subprocess.Popen(
                [*entering(self._machine), *self._argv],
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=output,
                start_new_session=True,
                env=self._environment,
            )

    def kill(self) -> None:
        """End it as a crash would. Killing twice is harmless."""
        self._end(signal.SIGKILL)

    def stop(self) -> None:
        """Ask it to end, and see that it does. Stopping twice is harmless."""
        self._end(signal.SIGTERM)

    def reap(self) -> None:
        """Forget it, when its machine has ended."""
        if self._entry is not None:
            self._entry.wait(30)
            self._entry = None

    def freeze(self) -> None:
        """Let it hold its connections and answer nothing more."""
        process = self._process()
        process.suspend()
        wait_until(
            lambda: is_stopped(process), "every thread to stop"
        )  # one that is at work stops some time later

    def thaw(self) -> None:
        """Let it go on."""
        assert self._entry is not None
        psutil.Process(self._entry.pid).resume()  # nsenter stops with what it has started
        self._process().resume()

    @property
    def memory(self) -> int:
        """Bytes of memory that it occupies."""
        return int(self._process().memory_info().rss)

    def check(self) -> None:
        """Raise, with the end of its log, when it has ended."""
        if self._entry is None or self._entry.poll() is not None:
            raise RuntimeError(f"{self.name} ended: {self.log.read_text(errors='replace')[-3000:]}")

    def _process(self) -> psutil.Process:
        """The program itself, which nsenter waits for."""
        self.check()
        assert self._entry is not None
        entry = psutil.Process(self._entry.pid)
        return wait_until(lambda: next(iter(entry.children()), None), f"{self.name} to start")

    def _end(self, number: signal.Signals) -> None:
        if self._entry is None:
            return
        if self._entry.poll() is None:
            with suppress(psutil.NoSuchProcess, RuntimeError):
                process = self._process()
                process.resume()
                process.send_signal(number)
        self.reap()


def entering(machine: Confined) -> list[str]:
    """The beginning of a command that runs within a machine."""
    return ["nsenter", "-t", str(machine.pid), "-m", "-p", "-n", "-u", "--wd=/", "--"]


def is_stopped(process: psutil.Process) -> bool:
    """Whether no thread of a process can do anything (proc(5), the state in stat)."""
    states = [
        stat.read_text().rpartition(")")[2].split()[0]
        for stat in Path(f"/proc/{process.pid}/task").glob("*/stat")
    ]
    return set(states) == {"T"}
