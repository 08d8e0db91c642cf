"""The status of many environments, queried side by side and again where it is watched."""

import time
from collections.abc import Iterable, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, field, replace
from functools import partial
from hashlib import sha256

from ocattach.config.spec import environment_id, origin_name
from ocattach.errors import OcattachError
from ocattach.sessions.index.rows import LastStatus
from ocattach.sessions.origins import Names
from ocattach.sessions.record import Session
from ocattach.survey.environment_status import ANSWERED, EnvironmentState, EnvironmentStatus, status_of
from ocattach.survey.everywhere import SurveyedConnection
from ocattach.survey.fanout import FanOut
from ocattach.survey.journal import Journal
from ocattach.survey.probe import EnvironmentProbe, ProbeKey

SHORTEST_PAUSE, LONGEST_PAUSE = 3.0, 60.0
"""Seconds between two queries of an environment that is watched."""

LOAD = 20
"""The pause is this many times as long as the query took, so that watching takes a twentieth of the time."""

REFUSED_PAUSE = 300.0
"""The pause after credentials were refused: hosts ban clients that keep trying (fail2ban)."""

PROBE_SHARE = 0.9
"""The part of the timeout that a probe gets, so that its own error arrives before the deadline."""

NO_VERSION = "The daemon did not report its version in time"


@dataclass(slots=True)
class ProbeState:
    """The progress of a probe; guarded by `FanOut.changed`."""

    probe: EnvironmentProbe
    began: float = 0.0
    ended: float = 0.0
    failures: int = 0
    has_answered: bool = False
    """Whether the running query has reported everything it was asked for."""

    early: dict[str | None, EnvironmentStatus] = field(default_factory=dict)
    """By directory, what the running query has reported so far: that a daemon runs, and its port."""

    statuses: dict[str | None, EnvironmentStatus] = field(default_factory=dict)
    """By directory, the last complete status."""


def to_be_known(status: EnvironmentStatus) -> LastStatus | None:
    """Return what is remembered of a status; None for one that does not show what is in the environment.

    A link tells the version also of a daemon that does not answer.
    """
    if status.state not in ANSWERED or (
        status.version is None and status.state is not EnvironmentState.STOPPED
    ):
        return None
    return LastStatus(status.state, status.asked, status.port, status.version)


class Survey(AbstractContextManager["Survey"]):
    """Connections and the statuses of their environments. Close it, or use `with`.

    Nothing is queried before `ask`. An environment to which several connections lead is queried once.
    """

    def __init__(
        self,
        entries: Sequence[SurveyedConnection],
        *,
        environ: Mapping[str, str],
        timeout: float,
        names: Names | None = None,
    ) -> None:
        """`names` are those of all connections, by which sessions are counted; by default those of `entries`."""
        self.entries = tuple(entries)
        self.timeout = timeout
        specs = [entry.spec for entry in self.entries]
        self._journal = Journal(names or Names(specs, environ), environ)
        self._wanting = [(environment_id(spec, environ), origin_name(spec)) for spec in specs]
        self._sessions = self._journal.sessions(self._wanting)
        """By entry."""
        self._known = self._journal.statuses()
        self._new: dict[str, LastStatus] = {}
        """Statuses that `close` stores."""
        self._fanout = FanOut[ProbeKey](timeout, environ)
        self._changed = self._fanout.changed
        self._changes = 0
        self._keys = [probe_key(entry, environ) for entry in self.entries]
        self._probes = self._make_probes(environ)

    def _make_probes(self, environ: Mapping[str, str]) -> dict[ProbeKey, ProbeState]:
        members: dict[ProbeKey, list[SurveyedConnection]] = {}
        for key, entry in zip(self._keys, self.entries, strict=True):
            members.setdefault(key, []).append(entry)
        return {
            key: ProbeState(
                EnvironmentProbe(
                    alike[0].spec,
                    [entry.spec.workdir for entry in alike],
                    environ=environ,
                    refusal=alike[0].refusal,
                    journal=self._journal,
                )
            )
            for key, alike in members.items()
        }

    def ask(self, which: Iterable[int] | None = None) -> None:
        """Start to query all environments, or those of the entries with these numbers. Return at once."""
        keys = self._keys if which is None else [self._keys[number] for number in which]
        for key in dict.fromkeys(keys):
            self._start(key)

    def ask_due(self) -> None:
        """Start to query the environments whose pause is over."""
        now = time.monotonic()
        with self._changed:
            due = [key for key, state in self._probes.items() if now - state.ended >= pause_after(state)]
        for key in due:
            self._start(key)

    def _start(self, key: ProbeKey) -> None:
        state = self._probes[key]
        self._fanout.start(
            key, partial(self._query, key, state), partial(self._fail, state), clean_up=state.probe.close
        )

    def _fail(self, state: ProbeState, error: OcattachError) -> None:
        with self._changed:
            state.failures += 1
            state.probe.report_all(partial(self._report, state), status_of(error))

    def _report(self, state: ProbeState, workdir: str | None, status: EnvironmentStatus) -> None:
        with self._changed:
            if status.state is EnvironmentState.RUNNING and status.version is None:
                state.early[workdir] = status
            else:
                state.statuses[workdir] = status
                state.has_answered = True

    def _query(self, key: ProbeKey, state: ProbeState) -> None:
        with self._changed:
            state.began, state.has_answered = time.monotonic(), False
            state.early.clear()
        try:
            timeout = max(1.0, PROBE_SHARE * self.timeout)
            state.probe.ask(self._fanout.connections, partial(self._report, state), timeout=timeout)
            if state.probe.has_stored:
                self._count_sessions(self._wanting[self._keys.index(key)][0])
        finally:
            with self._changed:
                self._end(key, state)

    def _count_sessions(self, environment: str) -> None:
        numbers = [number for number, (where, _) in enumerate(self._wanting) if where == environment]
        counts = self._journal.sessions([self._wanting[number] for number in numbers])
        with self._changed:
            for number, count in zip(numbers, counts, strict=True):
                self._sessions[number] = count

    def _end(self, key: ProbeKey, state: ProbeState) -> None:
        state.ended = time.monotonic()
        is_answered = all(status.state in ANSWERED for status in state.statuses.values())
        state.failures = 0 if is_answered else state.failures + 1
        for workdir, status in state.statuses.items():
            if known := to_be_known(status):
                self._new[status_key(key, workdir)] = known
        self._known |= self._new
        self._changes += 1

    @property
    def is_done(self) -> bool:
        """Whether each environment has answered or is overdue."""
        return self._fanout.is_done

    def await_change(self, timeout: float) -> bool:
        """Wait at most `timeout` seconds for a query to end; return whether one did."""
        with self._changed:
            before = self._changes
            return self._changed.wait_for(lambda: self._changes != before, timeout)

    def statuses(self) -> list[EnvironmentStatus | None]:
        """Return the current status of each entry; None while its first query runs."""
        with self._changed:
            found = [
                self._status(key, self._probes[key], entry.spec.workdir)
                for key, entry in zip(self._keys, self.entries, strict=True)
            ]
            counts = list(self._sessions)
        return [
            status and replace(status, sessions=sessions)
            for status, sessions in zip(found, counts, strict=True)
        ]

    def _status(self, key: ProbeKey, state: ProbeState, workdir: str | None) -> EnvironmentStatus | None:
        status, early = state.statuses.get(workdir), state.early.get(workdir)
        elapsed = self._fanout.elapsed(key)
        if elapsed is not None and elapsed >= self.timeout and not state.has_answered:
            status = replace(early, reason=NO_VERSION) if early else self._overdue(elapsed, status)
        elif status is None:
            status = early
        if status is None or status.state in ANSWERED:
            return status
        return replace(status, last_known=self._known.get(status_key(key, workdir)))

    def _overdue(self, elapsed: float, before: EnvironmentStatus | None) -> EnvironmentStatus:
        return EnvironmentStatus(
            state=EnvironmentState.UNREACHABLE,
            reason=f"No answer within {self.timeout:g} s",
            link=before.link if before else None,
            asked=time.time() - elapsed,
        )

    def latest_sessions(self, number: int, *, limit: int, besides: Iterable[str]) -> list[Session]:
        """Return the latest sessions of an entry, and those with the ids `besides`, from the index: may wait for it."""
        return self._journal.latest(self.entries[number].spec, limit=limit, besides=besides)

    @property
    def notices(self) -> Sequence[str]:
        """What else to report to the user."""
        return self._journal.notices

    def close(self) -> None:
        """Store the statuses, and close all connections that no query uses. Does not wait for queries."""
        self._fanout.close()
        with self._changed:
            new, self._new = self._new, {}
            idle = [state.probe for key, state in self._probes.items() if self._fanout.elapsed(key) is None]
        if new:
            self._journal.store_statuses(new)
        for probe in idle:
            probe.close()

    def __exit__(self, *_: object) -> None:
        self.close()


def probe_key(entry: SurveyedConnection, environ: Mapping[str, str]) -> ProbeKey:
    """Return the key of the probe that serves a connection."""
    spec = entry.spec
    refusal = entry.refusal.message if entry.refusal else ""
    return ProbeKey(spec.identity(environ), spec.env, spec.unset_env, refusal)


def status_key(key: ProbeKey, workdir: str | None) -> str:
    """Return the key under which a status is stored. It is a hash, since variables may be secret."""
    return sha256(repr((key.identity, key.env, workdir)).encode()).hexdigest()[:16]


def pause_after(state: ProbeState) -> float:
    """Return the seconds from the end of a query to the next; few once a link has been started."""
    statuses = state.statuses.values()
    if any(status.state is EnvironmentState.LOCKED and status.through != "link" for status in statuses):
        return REFUSED_PAUSE
    if state.failures:  # the query took long because it waited
        return min(SHORTEST_PAUSE * (1 << min(state.failures, 8)), LONGEST_PAUSE)
    if state.probe.has_link() and any(status.through != "link" for status in statuses):
        return SHORTEST_PAUSE
    return min(max(SHORTEST_PAUSE, LOAD * (state.ended - state.began)), LONGEST_PAUSE)
