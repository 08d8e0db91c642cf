"""Many environments asked side by side: whoever wants to know waits as long as they like, and for nobody."""

import threading
import time
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from types import TracebackType
from typing import Self

from ocattach.config.files.paths import state_directory
from ocattach.sessions.index import index_file
from ocattach.sessions.origins import Names
from ocattach.survey.entry import Entry
from ocattach.survey.environment_status import KNOWN, EnvironmentStatus, Known, State
from ocattach.survey.journal import Journal
from ocattach.survey.memory import Memory
from ocattach.survey.probe import EnvironmentProbe, ProbeKey
from ocattach.transports.shared import SharedConnections

SHORTEST_PAUSE, LONGEST_PAUSE = 3.0, 60.0
"""Seconds after which an environment is asked again, for who goes on looking."""

LOAD = 20
"""How much longer the pause is than the question took: looking may cost what is looked at a twentieth of its time."""

REFUSED_PAUSE = 300.0
"""The pause after credentials were refused or missing: hosts ban those who go on trying (fail2ban)."""


HASTE = 0.9
LATE = "Its daemon has not told its version in time"


@dataclass(slots=True)
class ProbeState:
    """How the asking about one subject goes; guarded by the survey's lock."""

    subject: EnvironmentProbe
    began: float = 0.0
    ended: float = 0.0
    is_asking: bool = False
    failures: int = 0
    has_answered: bool = False
    """Whether all that was asked is answered, this time."""

    early: dict[str | None, EnvironmentStatus] = field(default_factory=dict)
    """What is known for each directory while more is being asked: that a daemon runs, and where."""

    findings: dict[str | None, EnvironmentStatus] = field(default_factory=dict)
    """The last of each directory."""


class Survey:
    """The connections, and what is known about each. Close it, or use `with`.

    Nothing is dialled before `ask`. An environment to which several connections lead is asked once.
    """

    def __init__(
        self,
        entries: Sequence[Entry],
        *,
        environ: Mapping[str, str],
        timeout: float,
        names: Names | None = None,
    ) -> None:
        """`names` are all connections that there are, where these are not all: sessions are counted by them."""
        self.entries = tuple(entries)
        self._specs = [entry.spec for entry in self.entries]
        self._journal = Journal(
            index_file(state_directory(environ)), names or Names(self._specs, environ), environ
        )
        self._sessions = self._journal.sessions(self._specs)
        """What is known of each entry's; replaced as a whole."""
        self.timeout = timeout
        self._environ = environ
        self._memory = Memory(state_directory(environ))
        self._ways = SharedConnections()
        self._changed = threading.Condition()
        self._changes = 0
        self._closed = False
        self._keys = [subject_key(entry, environ) for entry in self.entries]
        self._courses = self._make_courses()

    def _make_courses(self) -> dict[ProbeKey, ProbeState]:
        members: dict[ProbeKey, list[Entry]] = {}
        for key, entry in zip(self._keys, self.entries, strict=True):
            members.setdefault(key, []).append(entry)
        return {
            key: ProbeState(
                EnvironmentProbe(
                    alike[0].spec,
                    [entry.spec.workdir for entry in alike],
                    environ=self._environ,
                    refusal=alike[0].refusal,
                    journal=self._journal,
                )
            )
            for key, alike in members.items()
        }

    def ask(self, which: Iterable[int] | None = None) -> None:
        """Begin to ask about all connections, or about those of these numbers. Returns at once."""
        keys = self._courses if which is None else {self._keys[number] for number in which}
        for key in keys:
            self._begin(key, self._courses[key])

    def ask_due(self) -> None:
        """Begin to ask again where it is time to: rarely where it costs much or fails."""
        now = time.monotonic()
        with self._changed:
            due = [
                key
                for key, course in self._courses.items()
                if not course.is_asking and now - course.ended >= pause_after(course)
            ]
        for key in due:
            self._begin(key, self._courses[key])

    def _begin(self, key: ProbeKey, course: ProbeState) -> None:
        with self._changed:
            if course.is_asking or self._closed:  # what has not answered yet is not asked once more
                return
            course.is_asking, course.began = True, time.monotonic()
            course.has_answered = False
            course.early.clear()
        threading.Thread(target=self._run, args=(key, course), name="ocattach-survey", daemon=True).start()

    def _run(self, key: ProbeKey, course: ProbeState) -> None:
        def tell(workdir: str | None, finding: EnvironmentStatus) -> None:
            with self._changed:
                if finding.state is State.RUNNING and finding.version is None:
                    course.early[workdir] = finding
                else:
                    course.findings[workdir] = finding
                    course.has_answered = True

        try:
            # A little less than is waited for: who knows more than that there was no answer shall say so.
            course.subject.ask(self._ways, tell, timeout=max(1.0, HASTE * self.timeout))
            self._sessions = self._journal.sessions(self._specs)
        finally:
            with self._changed:
                self._end(key, course)
                closed = self._closed
            if closed:
                course.subject.close()

    def _end(self, key: ProbeKey, course: ProbeState) -> None:
        course.is_asking, course.ended = False, time.monotonic()
        states = {finding.state for finding in course.findings.values()}
        course.failures = 0 if states <= KNOWN else course.failures + 1
        for workdir, finding in course.findings.items():
            if finding.version is not None or finding.state is State.STOPPED:
                known = Known(finding.state, finding.asked, finding.port, finding.version)
                self._memory.learn(memory_key(key, workdir), known)
        self._changes += 1
        self._changed.notify_all()

    @property
    def is_done(self) -> bool:
        """Whether nobody is being waited for any more: each has answered, or has had its time."""
        now = time.monotonic()
        with self._changed:
            return not any(
                course.is_asking and now - course.began < self.timeout for course in self._courses.values()
            )

    def await_change(self, timeout: float) -> bool:
        """Wait until there is something new, at most so many seconds; whether there is."""
        with self._changed:
            before = self._changes
            return self._changed.wait_for(lambda: self._changes != before, timeout)

    def findings(self) -> list[EnvironmentStatus | None]:
        """What is known about each connection by now; None where nothing is, and somebody is being waited for."""
        with self._changed:
            found = [
                self._finding(key, self._courses[key], entry.spec.workdir)
                for key, entry in zip(self._keys, self.entries, strict=True)
            ]
        return [
            finding and replace(finding, sessions=sessions)
            for finding, sessions in zip(found, self._sessions, strict=True)
        ]

    def _finding(self, key: ProbeKey, course: ProbeState, workdir: str | None) -> EnvironmentStatus | None:
        finding, early = course.findings.get(workdir), course.early.get(workdir)
        is_overdue = course.is_asking and time.monotonic() - course.began >= self.timeout
        if is_overdue and not course.has_answered:
            finding = replace(early, reason=LATE) if early else self._silence(course, finding)
        elif finding is None:
            finding = early
        if finding is None or finding.state in KNOWN:
            return finding
        return replace(finding, last_known=self._memory.recall(memory_key(key, workdir)))

    def _silence(self, course: ProbeState, before: EnvironmentStatus | None) -> EnvironmentStatus:
        return EnvironmentStatus(
            state=State.UNREACHABLE,
            reason=f"No answer within {self.timeout:g} s",
            link=before.link if before else None,
            asked=time.time() - (time.monotonic() - course.began),
        )

    @property
    def notices(self) -> Sequence[str]:
        """What has to be told besides."""
        return self._journal.notices

    def close(self) -> None:
        """Remember what was learnt, and let go of all that nobody is just using. Waits for nothing."""
        with self._changed:
            self._closed = True
            idle = [course.subject for course in self._courses.values() if not course.is_asking]
            is_quiet = len(idle) == len(self._courses)
        self._memory.save()
        for subject in idle:
            subject.close()
        if is_quiet:  # otherwise the end of the process closes them: a dead host would have to be waited for
            self._ways.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


def subject_key(entry: Entry, environ: Mapping[str, str]) -> ProbeKey:
    """Which subject a connection belongs to."""
    spec = entry.spec
    refusal = entry.refusal.message if entry.refusal else ""
    return ProbeKey(spec.identity(environ), spec.env, spec.unset_env, refusal)


def memory_key(key: ProbeKey, workdir: str | None) -> str:
    """Under what a finding is remembered: nothing that could be secret."""
    from hashlib import sha256  # noqa: PLC0415 - for who surveys

    return sha256(repr((key.identity, key.env, workdir)).encode()).hexdigest()[:16]


def pause_after(course: ProbeState) -> float:
    """Seconds to wait before an environment is asked again; soon where a link can tell that could not before."""
    findings = course.findings.values()
    if any(finding.state is State.LOCKED and finding.through != "link" for finding in findings):
        return REFUSED_PAUSE
    if course.failures:  # what took long was waiting
        return min(SHORTEST_PAUSE * (1 << min(course.failures, 8)), LONGEST_PAUSE)
    if course.subject.has_link() and any(finding.through != "link" for finding in findings):
        return SHORTEST_PAUSE
    return min(max(SHORTEST_PAUSE, LOAD * (course.ended - course.began)), LONGEST_PAUSE)
