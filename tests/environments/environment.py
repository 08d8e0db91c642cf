"""What an environment is to the tests: furnished alike, whatever the way in."""

from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import psutil
import pytest

from ocattach.config.spec import ConnectionSpec
from ocattach.transports import open_handler
from ocattach.transports.base import Question, TransportHandler
from ocattach.transports.command import CommandTransport
from tests.rigs.model import ScriptedModel
from tests.rigs.namespaces import Network
from tests.rigs.opencode import opencode_bin
from tests.rigs.waiting import wait_until

Entry = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Environment:
    """An environment in which nobody has worked yet, and the laptop of a user who may use it."""

    entry: Entry
    """The connection, as a file would have it."""

    variables: Mapping[str, str]
    """The whole environment of a program on the laptop."""

    workdir: str
    home: Path
    """Of the account in the environment, as a path that can be opened here."""

    model: ScriptedModel
    network: Network
    """Where the daemon listens."""

    processes: Callable[[], list[psutil.Process]]
    connections: Callable[[], int]
    """How many the engine has seen so far, by its own log: execs in a container, log-ins at a host."""

    route: str
    """What users are told of the way to its daemon."""

    missing: Entry | None = None
    """An environment that the same engine does not have."""

    laptop: Path = field(default=Path())
    """A directory of the laptop's own."""

    starts_daemons: bool = True
    """Whether daemons can be started there, and commands run; where not, one runs already."""

    answers: Mapping[str, str] = field(default_factory=dict)
    """What its user answers to the questions that have these words in them; all others may not come up."""

    def spec(self, **changes: Any) -> ConnectionSpec:
        """The connection with its working directory."""
        return ConnectionSpec.from_entry({**self.entry, "workdir": self.workdir, **changes})

    def ask(self, question: Question) -> str:
        """Answer for its user."""
        return answer(question, self.answers)

    def handler(self, **changes: Any) -> CommandTransport:
        """A handler for it that asks what its user answers."""
        handler = self.way_in(**changes)
        assert isinstance(handler, CommandTransport)
        return handler

    def way_in(self, **changes: Any) -> TransportHandler:
        """The same, for what also holds where no commands can be run."""
        return open_handler(self.spec(**changes), ask=self.ask, timeout=30)

    def wait_until_nothing_runs(self) -> None:
        """Return when no process is left there. What looks for a daemon ends a moment after the command that asks."""
        wait_until(lambda: not self.processes(), "everything to end there")


def ask_nobody(question: Question) -> str:
    """For tests in which no question may come up."""
    return answer(question, {})


def answer(question: Question, answers: Mapping[str, str]) -> str:
    """The answer that belongs to a question's words."""
    if question.notice:
        return ""
    for words, known in answers.items():
        if words in question.text:
            return known
    raise AssertionError(question)


Make = Callable[[pytest.FixtureRequest], AbstractContextManager[Environment]]


def without_starting(make: Make) -> Make:
    """Say of an environment, before it is made, that no daemon can be started there."""
    make.starts_daemons = False  # type: ignore[attr-defined]
    return make


def starts_daemons(make: Make) -> bool:
    """Whether daemons can be started in the environment that would be made."""
    return getattr(make, "starts_daemons", True)


def programs(laptop: Path) -> Path:
    """A folder for PATH on the laptop, with the opencode that shows the TUI."""
    folder = laptop / "bin"
    folder.mkdir()
    (folder / "opencode").symlink_to(opencode_bin())
    return folder
