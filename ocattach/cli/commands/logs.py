"""`ocattach logs NAME`: what the daemon in the environment has logged, and what its link did here."""

import os
import queue
import threading
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, Any

import click

from ocattach.cli.approval import require_trust
from ocattach.cli.command import Command, advice, output_option
from ocattach.cli.complete import connection_names
from ocattach.cli.output import print_json
from ocattach.cli.terminal import Person, escape, say
from ocattach.config.resolver import resolve
from ocattach.config.spec import ConnectionSpec
from ocattach.daemon import Logs
from ocattach.errors import (
    AuthenticationError,
    OcattachError,
    PersonNeededError,
    TimedOutError,
    UnreachableError,
    UsageError,
)
from ocattach.link.client.direct import asker
from ocattach.link.files import log_file
from ocattach.link.server.log import former
from ocattach.transports import open_handler
from ocattach.transports.base import Question, TransportHandler

LINK = "link"
LINES = 50
SOURCE_WIDTH = 8
LOOK_SECONDS = 0.25
"""How often the link's log here is looked at."""

ASK_SECONDS = 1.0
"""How often the environment is asked: each time is a command there."""

AGAIN_SECONDS = 3.0
"""After which time a lost environment is tried again."""

JOIN_SECONDS = 10
TIMEOUT = 20.0

EXAMPLES = """
ocattach logs frontend           the last lines of the daemon's log, of OpenCode's own, and of the link's
ocattach logs frontend -f        the same, and what comes, also after the connection was lost
ocattach logs frontend -n 500 | grep ERROR
"""


@click.command(
    cls=Command,
    help="Show the log of the daemon in the environment, and what the link to it did: connected, lost (why), restored.",
    examples=EXAMPLES,
)
@click.argument("name", metavar="NAME|URI", shell_complete=connection_names)
@click.option("-f", "--follow", is_flag=True, help="Go on showing what comes.")
@click.option(
    "-n", "--lines", type=click.IntRange(min=0), default=LINES, metavar="N", help="Of each log; default 50."
)
@output_option
def logs(name: str, *, follow: bool, lines: int, output: str) -> None:
    """Print the ends of the logs, each line with its source in front, and with --follow what comes."""
    if follow and output == "json":
        raise UsageError(
            "-o json prints one document, and --follow has no end", hint="Leave out one of the two"
        )
    spec = resolve(name, cwd=Path.cwd(), environ=os.environ)
    require_trust(spec, trust=False, environ=os.environ)
    spec = spec.settled(os.environ).with_default_workdir(Path.cwd())
    with ExitStack() as stack:
        handler = stack.enter_context(open_handler(spec, ask=asker(Person()), timeout=TIMEOUT))
        found = collect(name, spec, handler, lines)
        if output == "json":
            print_document(spec, found)
        else:
            print_logs(name, found, follow=follow)
        if follow:
            follow_logs(stack, handler, found)
        elif found.error:
            raise found.error if output != "json" else SystemExit(found.error.exit_code)


@dataclass(slots=True)
class Found:
    """The ends of the logs."""

    link: Path | None
    """The link's; None where there is no link."""

    link_lines: Sequence[str] = ()
    link_end: int = 0
    """How much of its file has been read, in bytes."""

    files: dict[str, str] = field(default_factory=dict)
    lines: dict[str, list[str]] = field(default_factory=dict)
    """Those in the environment, by source."""

    read: Logs | None = None
    error: OcattachError | None = None
    """Why there is nothing from the environment. The link's log may tell more of it."""


def collect(name: str, spec: ConnectionSpec, handler: TransportHandler, lines: int) -> Found:
    """The last lines of every log that can be reached."""
    link = log_file(spec.link_key(os.environ), os.environ) if spec.target.needs_link else None
    found = Found(link)
    if link is not None:
        texts = [file.read_bytes() if file.exists() else b"" for file in (former(link), link)]
        found.link_end = len(texts[1])
        link_lines = b"".join(texts).decode(errors="replace").splitlines()
        found.link_lines = link_lines[-lines:] if lines else []
    try:
        with advice(name):
            handler.check_available()
            for page in pages(handler, lines, None):
                found.read = page
                found.files |= page.files
                for source, new in page.lines.items():
                    kept = [*found.lines.get(source, ()), *new]
                    found.lines[source] = kept[-lines:] if lines else []  # more may have come meanwhile
    except OcattachError as error:
        found.error = error
    return found


def pages(handler: TransportHandler, last: int, after: Logs | None) -> Iterator[Logs]:
    """What is new in the environment, answer by answer, until there is no more."""
    while True:
        after = handler.read_logs(last, after=after)
        yield after
        if not after.has_more:
            return


def print_logs(name: str, found: Found, *, follow: bool) -> None:
    """Print what there is, the link's log last: what it did explains the end of the others."""
    for source, file in found.files.items():
        say(f"{source}: {file}, in the environment")
    if found.link_lines:
        say(f"{LINK}: {found.link}")
    for source, new in (*found.lines.items(), (LINK, found.link_lines)):
        for line in new:
            print_line(source, line)
    if found.error and follow:
        Person().error(found.error)
    elif not (found.error or found.files or found.link_lines):
        raise OcattachError(
            "There is no log yet: no daemon has run there, and no link here",
            hint=f"Connect once: ocattach {name}",
        )


def print_document(spec: ConnectionSpec, found: Found) -> None:
    """Print the logs for scripts."""
    there: Mapping[str, Any] = {
        source: {"file": file, "lines": found.lines.get(source, [])} for source, file in found.files.items()
    }
    link = {"file": str(found.link), "lines": list(found.link_lines)} if found.link_lines else None
    error = found.error
    print_json(
        {
            "name": spec.name,
            "uri": spec.display(),
            "daemon": there.get("daemon"),
            "opencode": there.get("opencode"),
            LINK: link,
            "error": error and {"code": error.code, "message": error.message, "hint": error.hint},
        }
    )


def print_line(source: str, line: str) -> None:
    """Print a line of a log."""
    click.echo(f"{source:<{SOURCE_WIDTH}} | {escape(line)}")


def follow_logs(stack: ExitStack, handler: TransportHandler, found: Found) -> None:
    """Print what comes, from the environment and from the link here, for ever."""
    arrived: queue.SimpleQueue[tuple[str, str]] = queue.SimpleQueue()
    if found.error is None or isinstance(found.error, UnreachableError | TimedOutError):
        stack.enter_context(Follower(handler, found.read, arrived))
    elif found.link is None:
        raise found.error
    news = following(found.link, found.link_end) if found.link else iter(str, None)
    for text in news:
        for line in text.splitlines():
            print_line(LINK, line)
        try:
            source, line = arrived.get(timeout=LOOK_SECONDS)
            while True:
                print_line(source, line) if source else say(line)
                source, line = arrived.get_nowait()
        except queue.Empty:
            continue


class Follower:
    """Reads the environment's logs in a thread of its own: while it is lost the link's own log is seen."""

    def __init__(
        self, handler: TransportHandler, read: Logs | None, arrived: "queue.SimpleQueue[tuple[str, str]]"
    ) -> None:
        """Put each new line into `arrived`, with its source; words for the person have none."""
        self._handler = handler
        self._read = read
        self._arrived = arrived
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._follow, name="ocattach-logs", daemon=True)

    def _follow(self) -> None:
        self._handler.ask = ask_nobody
        told = ""
        while not self._ended.is_set():
            try:
                for page in pages(self._handler, LINES, self._read):
                    self._read = page
                    self._pass_on(page)
                pause, told = ASK_SECONDS, ""
            except AuthenticationError as error:
                self._say(f"{error.message}: what comes there is no longer shown", told)
                return
            except OcattachError as error:
                pause, told = (
                    AGAIN_SECONDS,
                    self._say(f"The environment is not reached: {error.message}", told),
                )
                self._handler.disconnect()
            self._ended.wait(pause)

    def _pass_on(self, read: Logs) -> None:
        for source, lines in read.lines.items():
            for line in lines:
                self._arrived.put((source, line))

    def _say(self, text: str, told: str) -> str:
        """Say what has not just been said."""
        if text != told and not self._ended.is_set():
            self._arrived.put(("", text))
        return text

    def __enter__(self) -> None:
        self._thread.start()

    def __exit__(self, *_: object) -> None:
        self._ended.set()
        self._handler.disconnect()
        self._thread.join(JOIN_SECONDS)


def ask_nobody(question: Question) -> str:
    """Nobody is asked in the middle of a log."""
    raise PersonNeededError(f"Connecting again needs an answer ({question.text.strip(' :')})")


def following(path: Path, start: int) -> Iterator[str]:
    """What comes to the link's log, also over its files' changes; an empty text where nothing did. For ever."""
    file: IO[str] | None = None
    while True:
        if file is not None and (text := file.read()):
            yield text
            continue
        if not is_current(file, path):
            if file is not None:
                file.close()
            file = path.open(errors="replace") if path.exists() else None
            if file is not None:
                file.seek(start)
            start = 0
            continue
        yield ""


def is_current(file: IO[str] | None, path: Path) -> bool:
    """Whether an open file is still the one of that name, or there is none of both."""
    if file is None:
        return not path.exists()
    try:
        return os.path.samestat(os.fstat(file.fileno()), path.stat())
    except FileNotFoundError:  # it is just being replaced
        return True
