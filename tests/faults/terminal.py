"""A person at a TUI, attached by the same link, who types a last prompt when all is over."""

import time
from collections.abc import Iterator
from contextlib import contextmanager

from tests.faults.site import NAME, Site
from tests.main_job.laptop import OCATTACH
from tests.rigs.directories import short_directory
from tests.rigs.terminal import Terminal

READY = "Ask anything"
READY_SECONDS = 60
TRIES = 4
ANSWER_SECONDS = 15


class Watcher:
    """Who looks at the screen."""

    has_failed = False

    def __init__(self, terminal: Terminal) -> None:
        self._terminal = terminal

    def verdict(self) -> str:
        """Type a prompt and look for its answer; what has come of it, in words."""
        for number in range(1, TRIES + 1):
            code = self._terminal.exit_code
            if code is not None:
                self.has_failed = True
                return f"ended with {code}"
            started = time.monotonic()
            text = f"last prompt {number}"
            self._terminal.send_text(text)
            self._terminal.wait_for(text)
            self._terminal.send_keys("Enter")
            try:
                self._terminal.wait_for(f"You said: {text}", timeout=ANSWER_SECONDS)
            except TimeoutError:
                continue
            return f"answered prompt {number} after {time.monotonic() - started:.1f} s"
        self.has_failed = True
        return f"shows no answer to {TRIES} prompts"


@contextmanager
def watching(site: Site) -> Iterator[Watcher]:
    """A TUI that has come up, through the site's link."""
    with (
        short_directory() as directory,
        Terminal(
            [*OCATTACH, NAME],
            directory=directory,
            environment=site.laptop.variables,
            cwd=site.laptop.cwd,
        ) as terminal,
    ):
        terminal.wait_for(READY, timeout=READY_SECONDS)
        yield Watcher(terminal)
        terminal.send_keys("C-c")
