"""Queries many environments side by side, each in a thread of its own, within one deadline."""

import queue
import threading
import time
from collections.abc import Callable, Hashable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from typing import Generic, TypeVar

from ocattach.config.files.paths import state_directory
from ocattach.config.spec import ConnectionSpec, environment_id
from ocattach.defects import FILE, as_error, write_trace
from ocattach.errors import OcattachError, TimedOutError
from ocattach.link.client.access import no_person, open_client
from ocattach.opencode.api import DaemonClient
from ocattach.survey.everywhere import SurveyedConnection
from ocattach.transports.shared import SharedConnections

T = TypeVar("T")
K = TypeVar("K", bound=Hashable)

CLOSE_SECONDS = 1.0
"""How long queries that have answered may take to close their connections."""


Fail = Callable[[OcattachError], None]
"""Takes the error of a query."""


class FanOut(Generic[K]):
    """The running queries, at most one for each key, and the connections that they share.

    The thread of an overdue query goes on in the background: a dial to a dead host cannot be interrupted.
    """

    def __init__(self, timeout: float, environ: Mapping[str, str]) -> None:
        """`timeout` is in seconds, for each query from its start."""
        self.timeout = timeout
        self._log = state_directory(environ) / FILE
        self.connections = SharedConnections()
        self.changed = threading.Condition()
        """Notified after each query; callers may guard their results with it."""
        self.is_closed = False
        self._began: dict[K, float] = {}

    def start(
        self, key: K, query: Callable[[], None], fail: Fail, *, clean_up: Callable[[], None] = lambda: None
    ) -> bool:
        """Run a query in a thread, unless the last one with this key is still running; return whether it was started.

        `fail` takes any exception of the query as an error, DefectError for one that no code expects.
        `clean_up` is called in that thread if the query ends after `close`.
        """
        with self.changed:
            if self.is_closed or key in self._began:
                return False
            self._began[key] = time.monotonic()
        run = partial(self._run, key, query, fail, clean_up)
        try:
            threading.Thread(target=run, name="ocattach-query", daemon=True).start()
        except RuntimeError as error:  # the limit of threads
            fail(as_error(error, self._log))
            self._end(key)
        return True

    def _run(self, key: K, query: Callable[[], None], fail: Fail, clean_up: Callable[[], None]) -> None:
        try:
            try:
                query()
            except BaseException as error:  # noqa: BLE001 - whatever it is, it is the error of this query
                fail(as_error(error, self._log))
            finally:
                is_closed = self._end(key)
            if is_closed:
                clean_up()
        except BaseException as error:  # noqa: BLE001 - nothing is printed by a thread
            write_trace(error, self._log)

    def _end(self, key: K) -> bool:
        """Note the end of a query. Returns whether no more queries are accepted."""
        with self.changed:
            del self._began[key]
            self.changed.notify_all()
            return self.is_closed

    def elapsed(self, key: K) -> float | None:
        """Return for how many seconds a query has been running; None if it is not."""
        with self.changed:
            began = self._began.get(key)
        return None if began is None else time.monotonic() - began

    @property
    def is_done(self) -> bool:
        """Whether each query has ended or is overdue."""
        with self.changed:
            now = time.monotonic()
            return all(now - began >= self.timeout for began in self._began.values())

    def close(self, *, wait: float = 0.0) -> None:
        """Accept no more queries, and close the shared connections if all queries end within `wait` seconds.

        Otherwise the end of the process closes them: closing the connection to a dead host could block.
        """
        with self.changed:
            self.is_closed = True
            is_idle = self.changed.wait_for(lambda: not self._began, wait)
        if is_idle:
            self.connections.close()


@dataclass(frozen=True, slots=True)
class QueryResult(Generic[T]):
    """What one environment answered, or why it did not."""

    specs: tuple[ConnectionSpec, ...]
    """The connections that lead there."""

    answer: T | None = None
    error: OcattachError | None = None


def ask_each(
    entries: Sequence[SurveyedConnection],
    question: Callable[[DaemonClient, Sequence[ConnectionSpec]], T],
    *,
    environ: Mapping[str, str],
    timeout: float,
    dial_timeout: float | None = None,
    enough: float | None = None,
) -> Iterator[QueryResult[T]]:
    """Call `question` with a client of each environment's daemon, and yield the results as they arrive.

    Environments that are not trusted yield their refusal. Those that have not answered after `timeout` seconds yield a
    TimedOutError. `dial_timeout`, by default the same, limits the time to connect. `enough` replaces `timeout`
    once an environment has answered with something.
    """
    groups: dict[str, list[SurveyedConnection]] = {}
    for entry in entries:
        groups.setdefault(environment_id(entry.spec, environ), []).append(entry)
    fanout = FanOut[tuple[ConnectionSpec, ...]](timeout, environ)
    results = queue.SimpleQueue[QueryResult[T]]()

    def query(specs: tuple[ConnectionSpec, ...]) -> None:
        with open_client(
            specs[0],
            environ=environ,
            ask=no_person(specs[0]),
            timeout=dial_timeout or timeout,
            shared=fanout.connections,
        ) as client:
            results.put(QueryResult(specs, answer=question(client, specs)))

    def fail(specs: tuple[ConnectionSpec, ...], error: OcattachError) -> None:
        results.put(QueryResult(specs, error=error))

    waiting = set()
    for group in groups.values():
        specs = tuple(entry.spec for entry in group if entry.refusal is None)
        if specs:
            waiting.add(specs)
            fanout.start(specs, partial(query, specs), partial(fail, specs))
        else:
            yield QueryResult(tuple(entry.spec for entry in group), error=group[0].refusal)
    began = time.monotonic()
    deadline = began + timeout
    with suppress(queue.Empty):
        while waiting:
            result = results.get(timeout=max(0.0, deadline - time.monotonic()))
            if result.specs in waiting:  # the first result counts: closing the connection may fail afterwards
                waiting.remove(result.specs)
                if enough is not None and result.answer:
                    deadline = min(deadline, began + enough)
                yield result
    for specs in waiting:
        yield QueryResult(specs, error=TimedOutError(f"No answer within {deadline - began:g} s"))
    fanout.close(wait=0.0 if waiting else CLOSE_SECONDS)
