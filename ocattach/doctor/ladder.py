"""A ladder: steps that rest on one another, each tried once, timed, and told."""

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from ocattach.errors import OcattachError


class Status(StrEnum):
    """What became of a rung."""

    OK = "ok"
    WARNING = "warning"
    """Something that does not keep anything from working, and may explain what somebody wonders about."""

    FAILED = "failed"
    SKIPPED = "skipped"
    """What it rests on has failed, or it means nothing here."""


@dataclass(frozen=True, slots=True)
class Rung:
    """One step, once it was tried."""

    name: str
    status: Status
    found: str
    """What was seen; for a skipped one why it was."""

    seconds: float | None = None
    """How long it took, without the time of a person who was asked something; None where nothing was done."""

    error: OcattachError | None = None

    def to_json(self) -> dict[str, Any]:
        """The rung for scripts."""
        error = self.error
        return {
            "rung": self.name,
            "status": self.status.value,
            "seconds": None if self.seconds is None else round(self.seconds, 4),
            "found": self.found,
            "error": error and {"code": error.code, "message": error.message, "hint": error.hint},
        }


class Remark(Exception):  # noqa: N818 - it is no error
    """Raised by a step that found something to be warned of, while what rests on it can go on."""


class Ladder:
    """The rungs that were tried so far. Each is shown when it is begun, and again when it is done."""

    def __init__(self, *, began: Callable[[str], None], done: Callable[[Rung], None]) -> None:
        self.rungs: list[Rung] = []
        self._began = began
        self._done = done
        self._waited = 0.0

    def step(self, name: str, look: Callable[[], str], *, after: Sequence[str] = (), hint: str = "") -> None:
        """Try a step: `look` says what it found, and raises an OcattachError or a Remark.

        It is skipped where one that it rests on has failed. An error that names no next step is given `hint`.
        """
        missing = next((rung for rung in self.rungs if rung.name in after and not holds(rung)), None)
        if missing is not None:
            because = (
                missing.found if missing.status is Status.SKIPPED else f"not tried: it needs {missing.name}"
            )
            self._add(Rung(name, Status.SKIPPED, because))
            return
        self._began(name)
        began, self._waited = time.monotonic(), 0.0
        status, error = Status.OK, None
        try:
            found = look()
        except Remark as remark:
            status, found = Status.WARNING, str(remark)
        except OcattachError as failure:
            status, found, error = Status.FAILED, failure.message, failure
            failure.hint = failure.hint or hint
        self._add(Rung(name, status, found, time.monotonic() - began - self._waited, error))

    def note(self, name: str, found: str, *, status: Status = Status.OK) -> None:
        """Add what is known without a step of its own."""
        self._add(Rung(name, status, found))

    def waited(self, seconds: float) -> None:
        """Leave a person's time out of the step that asked."""
        self._waited += seconds

    def stands(self, name: str) -> bool:
        """Whether a step was tried and held."""
        return any(rung.name == name and holds(rung) for rung in self.rungs)

    @property
    def error(self) -> OcattachError | None:
        """Why the first rung that failed did; None when all is well."""
        return next((rung.error for rung in self.rungs if rung.error is not None), None)

    def _add(self, rung: Rung) -> None:
        self.rungs.append(rung)
        self._done(rung)


def holds(rung: Rung) -> bool:
    """Whether what rests on a rung can be tried."""
    return rung.status in {Status.OK, Status.WARNING}
