"""A desktop that shows notices: dunst on a virtual screen, with a message bus of its own."""

import json
import os
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from tests.rigs.availability import need, require
from tests.rigs.waiting import wait_until

START = """
exec 3>&1
Xvfb -displayfd 4 -screen 0 640x480x8 -nolisten tcp 4>&3 3>&- >/dev/null 2>&1 &
screen=$!
read -r _ <&0
kill $screen
"""

BUS = 'echo "$DBUS_SESSION_BUS_ADDRESS"; read -r _'
"""dunst is started by the bus, when it is first asked for."""


@dataclass(frozen=True, slots=True)
class Desktop:
    """The desktop by its variables."""

    variables: dict[str, str]

    def notices(self) -> list[tuple[str, str]]:
        """Summary and body of all notices so far, the oldest first."""
        self._control("close-all")
        content: Any = json.loads(self._control("history"))
        return [(each["summary"]["data"], each["body"]["data"]) for each in reversed(content["data"][0])]

    def answers(self) -> bool:
        """Whether dunst can be asked."""
        try:
            return bool(self._control("is-paused"))
        except subprocess.CalledProcessError:
            return False

    def _control(self, *what: str) -> str:
        done = subprocess.run(
            ["dunstctl", *what],
            env={**os.environ, **self.variables},
            stdout=subprocess.PIPE,
            text=True,
            check=True,
            timeout=20,
        )
        return done.stdout


@contextmanager
def desktop() -> Iterator[Desktop]:
    """A desktop, until the end of the block."""
    with require("desktop"):
        need("Xvfb", "dbus-run-session", "dunst", "dunstctl", "notify-send")
    with started(["sh", "-c", START]) as screen:
        display = f":{first_line(screen)}"
        with started(["env", f"DISPLAY={display}", "dbus-run-session", "--", "sh", "-c", BUS]) as daemon:
            found = Desktop({"DISPLAY": display, "DBUS_SESSION_BUS_ADDRESS": first_line(daemon)})
            wait_until(found.answers, "dunst to listen", interval=0.1)
            yield found


@contextmanager
def started(argv: list[str]) -> Iterator[subprocess.Popen[str]]:
    """A process that ends when it gets a line."""
    with subprocess.Popen(argv, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        try:
            yield process
        finally:
            process.communicate("\n", timeout=20)


def first_line(process: subprocess.Popen[str]) -> str:
    """What it prints first."""
    assert process.stdout
    return process.stdout.readline().strip()
