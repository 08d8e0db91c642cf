"""What became of each prompt: what its sender was told, and how often the daemon has it in the end."""

import itertools
import threading
import time
from collections import Counter
from collections.abc import Iterable
from dataclasses import asdict, dataclass

BEFORE_ITS_END, AFTER_ITS_END = 3.0, 1.0
"""Seconds around the death of a daemon in which what OpenCode accepted may not have been kept by OpenCode."""

_numbers = itertools.count(1)


@dataclass
class Prompt:
    """One prompt."""

    session: str
    text: str
    sent: float
    """By time.monotonic, as all times here."""

    answered: float | None = None
    status: int | None = None
    """Of the HTTP answer."""

    failure: str = ""
    """Why there is no HTTP answer."""

    @property
    def was_accepted(self) -> bool:
        return self.status is not None and 200 <= self.status < 300

    @property
    def has_error(self) -> bool:
        """Whether its sender knows that it may not have arrived."""
        return not self.was_accepted and (self.status is not None or self.failure not in {"", SILENCE})


SILENCE = "no answer"


@dataclass
class Counts:
    """What became of prompts; each counts once."""

    sent: int = 0
    once: int = 0
    """Accepted, and there once."""

    answer_lost: int = 0
    """An error for the sender, but there once."""

    refused: int = 0
    """An error for the sender, and not there."""

    gone_with_daemon: int = 0
    """Accepted by OpenCode a moment before OpenCode itself was killed, and not there."""

    lost: int = 0
    """Accepted and not there; or never answered, whether there or not."""

    twice: int = 0
    """There more than once."""

    def __add__(self, other: "Counts") -> "Counts":
        pairs = zip(asdict(self).items(), asdict(other).values(), strict=True)
        return Counts(**{name: one + two for (name, one), two in pairs})


class Ledger:
    """All prompts of one run."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._prompts: list[Prompt] = []
        self._reads: Counter[str] = Counter()

    def new(self, session: str) -> Prompt:
        """Book a prompt that is about to be sent; no other has its text."""
        prompt = Prompt(session, f"prompt number {next(_numbers)}.", time.monotonic())
        with self._lock:
            self._prompts.append(prompt)
        return prompt

    def read(self, failure: str) -> None:
        """Book a request that only reads; empty: it was answered."""
        with self._lock:
            self._reads[failure] += 1

    @property
    def failed_reads(self) -> dict[str, int]:
        """What those who read were told instead of an answer, and how often."""
        with self._lock:
            return {failure: count for failure, count in self._reads.items() if failure}

    @property
    def prompts(self) -> list[Prompt]:
        """All so far, in the order in which they were sent."""
        with self._lock:
            return list(self._prompts)

    def accepted_after(self, moment: float, *, sent_after: float = 0) -> float | None:
        """When the first prompt after a moment was accepted; of those sent after another moment."""
        times = [
            prompt.answered
            for prompt in self.prompts
            if prompt.was_accepted
            and prompt.answered is not None
            and prompt.answered >= moment
            and prompt.sent >= sent_after
        ]
        return min(times, default=None)

    def failures(self) -> Counter[str]:
        """The errors that senders got."""
        return Counter(
            prompt.failure or f"HTTP {prompt.status}" for prompt in self.prompts if prompt.has_error
        )

    def missing(self, texts: Counter[str]) -> list[Prompt]:
        """Those that were accepted and are not among the texts."""
        return [prompt for prompt in self.prompts if prompt.was_accepted and not texts[prompt.text]]

    def losses(self, texts: Counter[str], ends_of_daemons: Iterable[float] = ()) -> list[str]:
        """Each prompt that was lost, in words."""
        ends = list(ends_of_daemons)
        return [
            described(prompt, ends)
            for prompt in self.prompts
            if verdict(prompt, texts[prompt.text], ends) == "lost"
        ]

    def counts(self, texts: Counter[str], ends_of_daemons: Iterable[float] = ()) -> Counts:
        """What became of all, by the texts that the daemon has."""
        ends = list(ends_of_daemons)
        counts = Counts()
        for prompt in self.prompts:
            name = verdict(prompt, texts[prompt.text], ends)
            setattr(counts, name, getattr(counts, name) + 1)
            counts.sent += 1
        return counts


def described(prompt: Prompt, ends_of_daemons: Iterable[float]) -> str:
    """What its sender knows of a prompt, and how far that is from the nearest death of a daemon."""
    at = prompt.answered or prompt.sent
    away = min((at - end for end in ends_of_daemons), key=abs, default=None)
    told = prompt.failure or f"HTTP {prompt.status} after {at - prompt.sent:.2f} s"
    return f"{prompt.text} lost: {told}" + ("" if away is None else f", {away:+.2f} s from a daemon's end")


def verdict(prompt: Prompt, times: int, ends_of_daemons: Iterable[float]) -> str:
    """The field of Counts in which a prompt counts that the daemon has so many times."""
    if times > 1:
        return "twice"
    if prompt.was_accepted:
        if times:
            return "once"
        at = prompt.answered or prompt.sent
        near = any(end - BEFORE_ITS_END <= at <= end + AFTER_ITS_END for end in ends_of_daemons)
        return "gone_with_daemon" if near else "lost"
    if not prompt.has_error:
        return "lost"
    return "answer_lost" if times else "refused"
