"""Induces a fault again and again while clients are at work, and says what became of them."""

import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import psutil

from tests.faults.fault import Fault
from tests.faults.feed import feed_of
from tests.faults.ledger import Counts, Ledger
from tests.faults.leftovers import Marks, leftovers
from tests.faults.site import Site
from tests.faults.terminal import Watcher, watching
from tests.faults.traffic import INTERVAL, Traffic

NOTICED_SECONDS = 60
USABLE_SECONDS = 90
DEATHS_ALLOWED, LIFE_SECONDS = 2, 31
"""So many daemons may die young before one has to live for so long: else the link sees a crash loop, and gives up."""

MEBIBYTE = 1024 * 1024


@dataclass
class Result:
    """A row of the table."""

    fault: str
    what: str
    site: str
    simulated: str = ""
    drops: int = 0
    noticed: list[float] = field(default_factory=list)
    """Seconds from the fault to the end of the reader's stream."""

    usable: list[float] = field(default_factory=list)
    """Seconds from the far side's return to the first prompt that was accepted."""

    unusable: int = 0
    """How often it did not become usable by itself."""

    counts: Counts = field(default_factory=Counts)
    errors: dict[str, int] = field(default_factory=dict)
    """What senders were told, and how often."""

    failed_reads: dict[str, int] = field(default_factory=dict)
    """The same of those who only read."""

    may_refuse: bool = False
    """Whether requests may end in an error: the link itself is gone, or is not used."""

    leftovers: list[str] = field(default_factory=list)
    gone_after: float = 0
    """Seconds after the end of the link until nothing was left."""

    terminal: str = ""
    """What became of the TUI."""

    memory: list[float] = field(default_factory=list)
    """MiB of the link before the first and after the last drop, where it is the same one."""

    figures: dict[str, Any] = field(default_factory=dict)
    remarks: list[str] = field(default_factory=list)
    """What went wrong, in words."""

    seconds: float = 0
    """How long all of it took."""

    @property
    def is_clean(self) -> bool:
        """Whether it went as it should, times left aside."""
        wrong = self.unusable or self.counts.lost or self.counts.twice or self.leftovers or self.remarks
        errors = self.counts.answer_lost or self.counts.refused or self.failed_reads
        return not wrong and (self.may_refuse or not errors)


class Bench:
    """One fault on one site."""

    def __init__(self, site: Site, fault: Fault, *, interval: float = INTERVAL) -> None:
        self.site = site
        self._interval = interval
        self.fault = fault
        self.result = Result(fault.name, fault.what, site.name, fault.simulated)
        self.result.may_refuse = fault.ends_link or not fault.through_link
        self._ends_of_daemons: list[float] = []

    def run(self, repetitions: int) -> Result:
        """Induce it so often, and give the row."""
        started = time.monotonic()
        with self.fault.prepared(self.site):
            self.site.connect()
            marks = Marks(self.site)
            with self._terminal() as watcher:
                self._measure(repetitions)
                if watcher is not None:
                    self.result.terminal = watcher.verdict()
                    if watcher.has_failed:
                        self.result.remarks.append(f"TUI: {self.result.terminal}")
            self.fault.finish(self.site)
            self.site.disconnect()
            disconnected = time.monotonic()
            self.result.leftovers = leftovers(self.site, marks, seconds=self.fault.settles)
            self.result.gone_after = time.monotonic() - disconnected
        self.result.figures = dict(self.fault.figures())
        self.result.seconds = time.monotonic() - started
        return self.result

    @contextmanager
    def _terminal(self) -> Iterator[Watcher | None]:
        if not self.fault.has_terminal:
            yield None
            return
        with watching(self.site) as watcher:
            yield watcher

    def _measure(self, repetitions: int) -> None:
        if self.result.may_refuse:  # there is no link, or one after the other
            self._send(repetitions)
            return
        with feed_of(self.site) as feed:
            ledger, texts = self._send(repetitions)
            has_gap = self.fault.cuts and self.result.drops > 0
            self.result.remarks += feed.remarks(ledger.prompts, texts, has_gap=has_gap)

    def _send(self, repetitions: int) -> tuple[Ledger, Counter[str]]:
        """Send prompts throughout. Returns what became of them, and the texts that the daemon has in the end."""
        fault, site = self.fault, self.site
        way = fault.way(site)
        with Traffic(
            site, way, senders=fault.senders, readers=fault.readers, interval=self._interval
        ) as traffic:
            link = None if fault.ends_link else site.link
            before = memory_of(link)
            for number in range(repetitions):
                if fault.ends_daemon and not fault.renews and number and number % DEATHS_ALLOWED == 0:
                    time.sleep(LIFE_SECONDS)
                self._drop(traffic)
            traffic.stop()
            if link is not None and link.is_running():
                self.result.memory = [before, memory_of(link)]
        site.await_daemon()
        texts = site.settled_texts(site.past_the_link(), traffic.sessions, traffic.ledger)
        self.result.counts = traffic.ledger.counts(texts, self._ends_of_daemons)
        self.result.remarks += traffic.ledger.losses(texts, self._ends_of_daemons)
        self.result.errors = dict(traffic.ledger.failures())
        self.result.failed_reads = traffic.ledger.failed_reads
        return traffic.ledger, texts

    def _drop(self, traffic: Traffic) -> None:
        """Induce it once, and go on when prompts are accepted again and events read."""
        fault, site, result = self.fault, self.site, self.result
        result.drops += 1
        started = returned = time.monotonic()
        if fault.ends_daemon:
            self._ends_of_daemons.append(started)
        fault.induce(site)
        if fault.seconds:
            time.sleep(fault.seconds)
        fault.restore(site)
        if fault.seconds or fault.renews:
            returned = time.monotonic()
        if fault.renews:
            site.restored()
        if fault.ends_link:
            site.connect()
        try:
            noticed = started
            if fault.cuts:
                noticed = traffic.await_end(started, fault.seconds + NOTICED_SECONDS)
                result.noticed.append(noticed - started)
                if fault.ends_daemon:  # a pod is told to end, and has its time for it
                    self._ends_of_daemons.append(noticed)
            accepted = traffic.await_flow(max(noticed, returned), USABLE_SECONDS)
            result.usable.append(accepted - returned)
        except TimeoutError as error:
            result.unusable += 1
            result.remarks.append(f"drop {result.drops}: {error}")
            site.connect()
            traffic.await_flow(time.monotonic(), USABLE_SECONDS)


def memory_of(process: psutil.Process | None) -> float:
    """MiB that a process occupies."""
    return 0 if process is None else float(process.memory_info().rss / MEBIBYTE)
