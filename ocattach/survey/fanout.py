"""Asks the daemons of many environments side by side, each within the same deadline."""

import queue
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING, Generic, TypeVar

from ocattach.config.spec import ConnectionSpec, environment_id
from ocattach.errors import OcattachError, TimedOutError
from ocattach.link.client.access import Nobody, open_client
from ocattach.survey.entry import Entry
from ocattach.transports.shared import SharedConnections

if TYPE_CHECKING:
    from ocattach.opencode.api import DaemonClient

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class QueryResult(Generic[T]):
    """What one environment answered, or why it did not."""

    specs: tuple[ConnectionSpec, ...]
    """The connections that lead there."""

    answer: T | None = None
    error: OcattachError | None = None


def ask_each(
    entries: Sequence[Entry],
    question: Callable[["DaemonClient", Sequence[ConnectionSpec]], T],
    *,
    environ: Mapping[str, str],
    timeout: float,
    dial_timeout: float | None = None,
) -> Iterator[QueryResult[T]]:
    """Put a question to the daemon of every environment, side by side; what each says, as it comes.

    Nobody is waited for longer than so many seconds, and who may not be asked is not. To be reached an environment may
    be given less time than for all that it says.
    """
    groups: dict[str, list[Entry]] = {}
    for entry in entries:
        groups.setdefault(environment_id(entry.spec, environ), []).append(entry)
    ways, answers = SharedConnections(), queue.SimpleQueue[QueryResult[T]]()

    def run(specs: tuple[ConnectionSpec, ...]) -> None:
        try:
            reach_within = dial_timeout or timeout
            with open_client(
                specs[0], environ=environ, ask=Nobody(specs[0]), timeout=reach_within, ways=ways
            ) as client:
                answers.put(QueryResult(specs, answer=question(client, specs)))
        except OcattachError as error:
            answers.put(QueryResult(specs, error=error))

    waiting = set()
    for group in groups.values():
        specs = tuple(entry.spec for entry in group if entry.refusal is None)
        if specs:
            waiting.add(specs)
            threading.Thread(target=run, args=(specs,), name="ocattach-ask", daemon=True).start()
        else:
            yield QueryResult(tuple(entry.spec for entry in group), error=group[0].refusal)
    deadline = time.monotonic() + timeout
    with suppress(queue.Empty):
        while waiting:
            told = answers.get(timeout=max(0.0, deadline - time.monotonic()))
            waiting.remove(told.specs)
            yield told
    for specs in waiting:
        yield QueryResult(specs, error=TimedOutError(f"No answer within {timeout:g} s"))
    if not waiting:  # otherwise the end of the process closes them: a dead host would have to be waited for
        ways.close()
