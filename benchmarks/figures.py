"""What a measurement gives: our numbers, those of the same work by hand, and what was aimed at."""

import statistics
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal, TypeVar

T = TypeVar("T")
Kind = Literal["value", "ratio", "difference"]


@dataclass(frozen=True, slots=True)
class Goal:
    """At most so much: of our own value, of its ratio to the one by hand, or of their difference."""

    kind: Kind
    limit: float


@dataclass(frozen=True, slots=True)
class Figure:
    """One line of the table."""

    what: str
    unit: str
    ours: Sequence[float]
    against: str = ""
    """What the other numbers are of; for work by hand the commands."""

    others: Sequence[float] = ()
    goal: Goal | None = None
    higher_is_better: bool = False

    def best(self, samples: Sequence[float]) -> float:
        """The sample that was least disturbed."""
        return max(samples) if self.higher_is_better else min(samples)

    def compared(self, kind: Kind, pick: Callable[[Sequence[float]], float]) -> float | None:
        """Ours against the others, by the median, the best or another pick of each; None without others."""
        if kind == "value":
            return pick(self.ours)
        if not self.others:
            return None
        ours, others = pick(self.ours), pick(self.others)
        return ours / others if kind == "ratio" else ours - others

    @property
    def is_met(self) -> bool | None:
        """Whether the medians keep the goal; None without one."""
        if self.goal is None:
            return None
        compared = self.compared(self.goal.kind, statistics.median)
        return None if compared is None else compared <= self.goal.limit

    def to_json(self) -> dict[str, Any]:
        """Everything, samples included, for those who want other statistics."""
        document: dict[str, Any] = {"what": self.what, "unit": self.unit, "ours": self._summary(self.ours)}
        if self.others:
            document |= {"against": self.against, "others": self._summary(self.others)}
            for kind in ("ratio", "difference"):
                document[kind] = {
                    "median": rounded(self.compared(kind, statistics.median)),
                    "best": rounded(self.compared(kind, self.best)),
                }
        if self.goal is not None:
            document["goal"] = {"kind": self.goal.kind, "at_most": self.goal.limit, "met": self.is_met}
        return document

    def _summary(self, samples: Sequence[float]) -> dict[str, Any]:
        return {
            "median": rounded(statistics.median(samples)),
            "best": rounded(self.best(samples)),
            "samples": [rounded(sample) for sample in samples],
        }


def rounded(value: float | None) -> float | None:
    """As many digits as mean anything."""
    return None if value is None else float(f"{value:.4g}")


def take_turns(repetitions: int, ways: Mapping[str, Callable[[], T]]) -> dict[str, list[T]]:
    """The results of several ways to do something, by name.

    They take turns, each round in the reverse order of the one before: what slows the machine down for a while
    slows them all.
    """
    results: dict[str, list[T]] = {name: [] for name in ways}
    names = list(ways)
    for _ in range(repetitions):
        for name in names:
            results[name].append(ways[name]())
        names.reverse()
    return results
