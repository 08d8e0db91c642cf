"""A laptop with connections to several engines, and what `--status` says of them."""

import json
import re
import subprocess
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.main_job.laptop import OCATTACH
from tests.rigs.directories import short_directory
from tests.rigs.local import user_environment
from tests.rigs.terminal import Terminal

SECONDS = 60
"""After which a test gives up; nothing here is expected to take as long."""

LOOK_SECONDS = 0.02

State = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Asked:
    """What one `--status` printed, and what it took."""

    document: dict[str, Any]
    peak_memory: int
    """Bytes."""

    @property
    def states(self) -> dict[str, State]:
        """What was said of each connection, by name."""
        return {each["name"]: each for each in self.document["environments"]}


def high_water(pid: int) -> int:
    """The most memory that a process has had since its program began, in bytes; 0 for one that has ended.

    `ru_maxrss` counts that of whoever started it, too, whose memory it shares until then (vfork).
    """
    found = re.search(r"^VmHWM:\s+(\d+) kB$", Path(f"/proc/{pid}/status").read_text(), re.MULTILINE)
    return int(found[1]) * 1024 if found else 0


class Desk:
    """A home with saved connections, from which ocattach is run without anybody at the keyboard."""

    def __init__(self, home: Path, *path: Path, **variables: str) -> None:
        self.home = home
        self.variables = {**user_environment(home, *path), **variables}
        self.state = Path(self.variables["OCATTACH_STATE_DIR"])

    def save(self, name: str, entry: Mapping[str, Any]) -> None:
        """Save a connection."""
        folder = Path(self.variables["OCATTACH_CONFIG_DIR"], "connections")
        folder.mkdir(parents=True, exist_ok=True)
        (folder / f"{name}.yaml").write_text(json.dumps(dict(entry)))

    def run(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        """Run ocattach to its end."""
        return subprocess.run(
            [*OCATTACH, *arguments],
            env=self.variables,
            cwd=self.home,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=SECONDS,
            check=False,
        )

    def ask(self, *names: str, timeout: float = 30) -> Asked:
        """Ask how things stand; patiently, where it does not matter."""
        with tempfile.TemporaryFile("w+") as output:
            process = subprocess.Popen(
                [*OCATTACH, "--status", *names, "--timeout", str(timeout), "-o", "json"],
                env=self.variables,
                cwd=self.home,
                stdin=subprocess.DEVNULL,
                stdout=output,
            )
            peak = 0
            while process.poll() is None:
                peak = max(peak, high_water(process.pid))
                time.sleep(LOOK_SECONDS)
            output.seek(0)
            text = output.read()
        assert process.returncode == 0, text
        return Asked(json.loads(text), peak)

    @contextmanager
    def terminal(
        self, *arguments: str, width: int = 120, height: int = 40, around: Sequence[str] = ()
    ) -> Iterator[Terminal]:
        """ocattach on a terminal; `around` is a command that runs it."""
        with (
            short_directory() as directory,
            Terminal(
                [*around, *OCATTACH, *arguments],
                directory=directory,
                environment=self.variables,
                cwd=self.home,
                width=width,
                height=height,
            ) as opened,
        ):
            yield opened
