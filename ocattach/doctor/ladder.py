"""Runs steps that depend on one another, and reports the result and time of each."""

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import Any

from ocattach.defects import as_error
from ocattach.errors import OcattachError


class Status(StrEnum):
    """The result of a step."""

    OK = "ok"
    WARNING = "warning"
    """A problem that does not affect the steps that depend on this one."""

    FAILED = "failed"
    SKIPPED = "skipped"
    """A step that it depends on has failed or was skipped. `found` is the same for all that one failure causes."""


@dataclass(frozen=True, slots=True)
class Rung:
    """The result of one step, in the JSON output a "rung"."""

    name: str
    status: Status
    found: str
    """What was found; why a skipped step was skipped."""

    seconds: float | None = None
    """How long it took, without the time for which the user was asked; None if nothing was run."""

    error: OcattachError | None = None

    def to_json(self) -> dict[str, Any]:
        """Return the item of `rungs` in the JSON output."""
        error = self.error
        return {
            "rung": self.name,
            "status": self.status.value,
            "seconds": None if self.seconds is None else round(self.seconds, 4),
            "found": self.found,
            "error": error and error.to_json(),
        }


class StepWarning(Exception):  # noqa: N818 - not an error
    """Raised by a step to end with a warning; the steps that depend on it are still run."""


class StepSkipped(Exception):  # noqa: N818 - not an error
    """Raised by a step that cannot succeed because an earlier one failed; the steps that depend on it are skipped."""


class Ladder:
    """The results so far. `began` is called before each step, `done` with its result."""

    def __init__(self, *, began: Callable[[str], None], done: Callable[[Rung], None], log: Path) -> None:
        """`log` is the file for exceptions that no code expects."""
        self.rungs: list[Rung] = []
        self._log = log
        self._began = began
        self._done = done
        self._waited = 0.0

    def step(self, name: str, check: Callable[[], str], *, after: Sequence[str] = (), hint: str = "") -> None:
        """Run a step. `check` returns what it found, or raises StepWarning, StepSkipped or the step's error.

        The step is skipped if one of the steps in `after` failed or was skipped. `hint` is for errors without one.
        """
        failed = (Status.FAILED, Status.SKIPPED)
        missing = next((rung for rung in self.rungs if rung.name in after and rung.status in failed), None)
        if missing is not None:
            is_skipped = missing.status is Status.SKIPPED
            self._add(Rung(name, Status.SKIPPED, missing.found if is_skipped else skipped(missing.name)))
            return
        self._began(name)
        began, self._waited = time.monotonic(), 0.0
        status, error = Status.OK, None
        try:
            found = check()
        except StepWarning as warning:
            status, found = Status.WARNING, str(warning)
        except StepSkipped as reason:
            status, found = Status.SKIPPED, str(reason)
        except Exception as failure:  # noqa: BLE001 - whatever it is, the other steps are run
            error = as_error(failure, self._log).with_hint(hint)
            status, found = Status.FAILED, error.message
        self._add(Rung(name, status, found, time.monotonic() - began - self._waited, error))

    def note(self, name: str, found: str) -> None:
        """Add a result that needs no step."""
        self._add(Rung(name, Status.OK, found))

    def waited(self, seconds: float) -> None:
        """Subtract the time for which the user was asked from that of the current step."""
        self._waited += seconds

    @property
    def error(self) -> OcattachError | None:
        """The error of the first step that failed; None if none did."""
        return next((rung.error for rung in self.rungs if rung.error is not None), None)

    def _add(self, rung: Rung) -> None:
        self.rungs.append(rung)
        self._done(rung)


def skipped(failed: str) -> str:
    """Return why a step was skipped: the step that failed."""
    return f"skipped, because {failed} failed"
