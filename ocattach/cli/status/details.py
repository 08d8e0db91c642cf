"""The part of `--status --watch` below the table: what the sessions of a row wait for, or its latest sessions."""

import os
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import NamedTuple

from rich.text import Text

from ocattach.cli.amounts import ago
from ocattach.cli.columns import cut, fold
from ocattach.cli.columns import width as cell_width
from ocattach.cli.picker import MARKED, UNMARKED
from ocattach.opencode.activity import GENERATIONS, Activity
from ocattach.opencode.pending import LONGEST, MOST_CHOICES, Part, PendingRequest, Permission
from ocattach.printable import printable
from ocattach.sessions.record import Session
from ocattach.survey.environment_status import EnvironmentState, EnvironmentStatus
from ocattach.survey.fanout import FanOut
from ocattach.survey.status import Survey

INDENT = "    "
LATEST = 20
"""Sessions of a row that are read."""

UNSHOWN = "A session waits, but its request is too long for this table. To show it: ocattach session waiting"


class RowSessions:
    """The sessions of the selected row from the index, which a thread reads, since that can take time."""

    def __init__(self, survey: Survey, redraw: Callable[[], None]) -> None:
        self._survey, self._redraw = survey, redraw
        self._fanout = FanOut[str](survey.timeout, os.environ)
        self._wanted: tuple[object, ...] = ()
        self._found: tuple[int, Mapping[str, Session]] = (-1, {})

    def of(self, number: int, status: EnvironmentStatus | None) -> Mapping[str, Session]:
        """Return what is known of a row, by id, and read again after a change of its status."""
        requests = status.requests if status else ()
        wanted = (number, status and status.asked, len(requests))

        def read() -> None:
            ids = [each.session for each in requests]
            found = self._survey.latest_sessions(number, limit=LATEST, besides=ids)
            self._found = number, {each.id: each for each in found}
            self._redraw()

        if wanted != self._wanted and self._fanout.start("sessions", read, lambda _: None):
            self._wanted = wanted
        return self._found[1] if self._found[0] == number else {}

    def root(self, session: str) -> str:
        """Return the first ancestor of a session that is known; itself without one."""
        for _ in range(GENERATIONS):
            found = self._found[1].get(session)
            session = found.parent if found and found.parent else session
        return session


class Block(NamedTuple):
    """A request as lines of the screen."""

    request: PendingRequest
    lines: list[Text]

    @property
    def is_complete(self) -> bool:
        """Whether the request was read without shortening what it would allow."""
        if not isinstance(self.request, Permission):
            return True
        lists = (self.request.patterns, self.request.always)
        return all(len(each) < MOST_CHOICES and all(len(text) < LONGEST for text in each) for each in lists)


class View(NamedTuple):
    """What fits the screen."""

    lines: list[Text]
    is_whole: bool = True
    """Whether all of the selected request is among them."""


def details(
    status: EnvironmentStatus | None,
    requests: Sequence[PendingRequest],
    sessions: Mapping[str, Session],
    *,
    selected: str | None,
    width: int,
    room: int,
) -> View:
    """The requests of a row, or its latest sessions if nothing waits, in at most `room` lines."""
    if requests:
        titles = {each.session: title(sessions.get(each.session), each.session) for each in requests}
        blocks = [
            Block(each, request_lines(each, titles[each.session], selected == each.id, width=width))
            for each in requests
        ]
        return fitting(blocks, selected, width=width, room=room)
    if status is not None and status.state is EnvironmentState.WAITING and not status.requests:
        return View([Text(part) for part in fold(UNSHOWN, width)][:room])
    return View(session_lines(status, sessions.values(), width=width)[:room])


def fitting(blocks: Sequence[Block], selected: str | None, *, width: int, room: int) -> View:
    """The blocks from the first on, or from the selected one if it would not be whole otherwise."""
    ids = [block.request.id for block in blocks]
    chosen = ids.index(selected) if selected in ids else 0
    first = 0 if ends_within(blocks, chosen, room) else chosen
    lines = [line for block in blocks[first:] for line in block.lines]
    is_whole = ends_within(blocks[first:], chosen - first, room) and blocks[chosen].is_complete
    if len(lines) > room:
        more = f"{INDENT}… {len(lines) - room + 1} more lines"
        lines = [*lines[: max(0, room - 1)], Text(cut(more, width), style="dim")][:room]
    return View(lines, is_whole)


def ends_within(blocks: Sequence[Block], chosen: int, room: int) -> bool:
    """Whether a block is whole in so many lines, the last of which says how many follow, if any do."""
    end = sum(len(block.lines) for block in blocks[: chosen + 1])
    return end < room or (end == room and chosen == len(blocks) - 1)


def request_lines(request: PendingRequest, title: str, is_selected: bool, *, width: int) -> list[Text]:
    """A request: its session, then what it is for, with the numbers of choices."""
    what = f"Permission for {request.permission}" if isinstance(request, Permission) else "Question"
    *above, last = folded(what, width - len(MARKED))
    left = width - len(MARKED) - cell_width(last)
    last += cut(f" · {title}", left) if left > 0 else ""
    marks = [MARKED if is_selected else UNMARKED, *[UNMARKED] * len(above)]
    style = "reverse" if is_selected else "bold yellow"
    head = [Text(f"{mark}{line}", style=style) for mark, line in zip(marks, [*above, last], strict=True)]
    if isinstance(request, Permission):
        texts = [*request.patterns, *(f"always would allow: {each}" for each in request.always)]
    else:
        texts = [line for part in request.parts for line in part_texts(part)]
    return [*head, *(Text(f"{INDENT}{line}") for text in texts for line in folded(text, width - len(INDENT)))]


def folded(text: str, columns: int) -> list[str]:
    """The text in lines, with its control characters escaped."""
    return fold(printable(text), max(1, columns))


def part_texts(part: Part) -> list[str]:
    """One of the questions of a request, and its choices with their numbers."""
    several = " (several may be chosen)" if part.is_multiple else ""
    choices = (
        f"{number} {one_line(label)}{f' ({one_line(about)})' if about else ''}"
        for number, (label, about) in enumerate(part.choices, 1)
    )
    return [f"{part.text}{several}", *filter(None, ["   ".join(choices)])]


def session_lines(status: EnvironmentStatus | None, sessions: Iterable[Session], *, width: int) -> list[Text]:
    """The latest sessions with their state, where it is known, and the time of their last update."""
    latest = sorted(sessions, key=lambda session: session.updated, reverse=True)
    is_known = status is not None and status.doing is not None
    lines = [Text("Latest sessions", style="bold")] if latest else []
    for session in latest:
        idle = Activity.IDLE if is_known else ""
        state = status.activities.get(session.id, idle) if status else ""
        text = f"{UNMARKED}{state:<10}{ago(session.updated / 1000):<14}{title(session, session.id)}"
        lines.append(Text(cut(text, width)))
    return lines


def title(session: Session | None, identifier: str) -> str:
    """The title of a session in one line; its id without one."""
    return one_line(session.title if session and session.title else identifier)


def one_line(text: str) -> str:
    """The text with control characters and line breaks escaped."""
    return " ".join(printable(text).split())
