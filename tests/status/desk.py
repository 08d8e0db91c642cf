"""A laptop with connections to several engines, and what `--status` says of them."""

import json
import os
import subprocess
import tempfile
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
            _, status, usage = os.wait4(process.pid, 0)
            process.returncode = os.waitstatus_to_exitcode(status)
            output.seek(0)
            text = output.read()
        assert process.returncode == 0, text
        return Asked(json.loads(text), usage.ru_maxrss * 1024)

    @contextmanager
    def terminal(self, *arguments: str, height: int = 40, around: Sequence[str] = ()) -> Iterator[Terminal]:
        """ocattach on a terminal; `around` is a command that runs it."""
        with (
            short_directory() as directory,
            Terminal(
                [*around, *OCATTACH, *arguments],
                directory=directory,
                environment=self.variables,
                cwd=self.home,
                height=height,
            ) as opened,
        ):
            yield opened
