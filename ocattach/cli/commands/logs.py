"""`ocattach logs NAME`: the logs of the daemon and of OpenCode in the environment, and of the link here."""

import os
import queue
import threading
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, Any

import click

from ocattach.cli.command import Command, advice, output_option
from ocattach.cli.output import print_json
from ocattach.cli.person import Person
from ocattach.cli.target import connection_argument, named_connection
from ocattach.cli.terminal import escape, say, say_error
from ocattach.config.files.paths import state_directory
from ocattach.config.spec import ConnectionSpec
from ocattach.daemon import Logs
from ocattach.defects import FILE, as_error
from ocattach.errors import AuthenticationError, OcattachError, TimedOutError, UnreachableError, UsageError
from ocattach.link.client.direct import asker
from ocattach.link.files import log_file
from ocattach.link.server.log import former
from ocattach.printable import command_line
from ocattach.transports import open_handler
from ocattach.transports.base import NoPerson, TransportHandler

LINK = "link"
LINES = 50
SOURCE_WIDTH = 8
LOOK_SECONDS = 0.25
"""Interval between reads of the link's log on this machine."""

ASK_SECONDS = 1.0
"""Interval between reads in the environment; each read runs a command there."""

AGAIN_SECONDS = 3.0
"""Pause before connecting again to a lost environment."""

JOIN_SECONDS = 10
TIMEOUT = 20.0

EXAMPLES = """
ocattach logs frontend           print the last lines of each log
ocattach logs frontend -f        and follow the logs, also across lost connections
ocattach logs frontend -n 500 | grep ERROR
"""


@click.command(cls=Command, examples=EXAMPLES)
@connection_argument("name", "NAME|URI")
@click.option("-f", "--follow", is_flag=True, help="Keep printing new lines.")
@click.option(
    "-n",
    "--lines",
    type=click.IntRange(min=0),
    default=LINES,
    metavar="N",
    help="Number of lines of each log; default 50.",
)
@output_option
def logs(name: str, *, follow: bool, lines: int, output: str) -> None:
    """Show the logs of the daemon and of OpenCode in the environment, and of the link on this machine."""
    if follow and output == "json":
        raise UsageError("-o json and --follow cannot be used together")
    spec = named_connection(name)
    with ExitStack() as stack:
        person = Person()
        with person.waiting("Reading the logs"):
            handler = stack.enter_context(open_handler(spec, ask=asker(person), timeout=TIMEOUT))
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
    """The last lines of the logs."""

    link: Path | None
    """The link's log file; None for connections without a link."""

    link_lines: Sequence[str] = ()
    link_end: int = 0
    """Number of bytes of that file that were read."""

    files: dict[str, str] = field(default_factory=dict)
    lines: dict[str, list[str]] = field(default_factory=dict)
    """The lines of the logs in the environment, by source."""

    read: Logs | None = None
    error: OcattachError | None = None
    """Why the environment's logs could not be read."""


def collect(name: str, spec: ConnectionSpec, handler: TransportHandler, lines: int) -> Found:
    """Read the last lines of every log. An unreachable environment is reported in `error`."""
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
                    found.lines[source] = kept[-lines:] if lines else []  # a later page may add lines
    except OcattachError as error:
        found.error = error
    return found


def pages(handler: TransportHandler, last: int, after: Logs | None) -> Iterator[Logs]:
    """Read new lines in the environment page by page, starting after `after`."""
    while True:
        after = handler.read_logs(last, after=after)
        yield after
        if not after.has_more:
            return


def print_logs(name: str, found: Found, *, follow: bool) -> None:
    """Print the logs, the link's log last, since it explains why the others end."""
    for source, file in found.files.items():
        say(f"{source}: {file}, in the environment")
    if found.link_lines:
        say(f"{LINK}: {found.link}")
    for source, new in (*found.lines.items(), (LINK, found.link_lines)):
        for line in new:
            print_line(source, line)
    if found.error and follow:
        say_error(found.error)
    elif not (found.error or found.files or found.link_lines):
        raise OcattachError(
            "No logs found: no daemon has run there, and no link here",
            hint=f"Connect once: {command_line('ocattach', name)}",
        )


def print_document(spec: ConnectionSpec, found: Found) -> None:
    """Print the logs as JSON."""
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
            "error": error and error.to_json(),
        }
    )


def print_line(source: str, line: str) -> None:
    """Print a line of a log with its source."""
    click.echo(f"{source:<{SOURCE_WIDTH}} | {escape(line)}")


def follow_logs(stack: ExitStack, handler: TransportHandler, found: Found) -> None:
    """Print new lines from the environment and from the link, until interrupted."""
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
    """Reads the environment's logs in a thread, so that the link's log is printed while the environment is lost."""

    def __init__(
        self, handler: TransportHandler, read: Logs | None, arrived: "queue.SimpleQueue[tuple[str, str]]"
    ) -> None:
        """Put each new line into `arrived` with its source, and notices with an empty source."""
        self._handler = handler
        self._read = read
        self._arrived = arrived
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._follow, name="ocattach-logs", daemon=True)

    def _follow(self) -> None:
        self._handler.ask = NoPerson("Connecting again requires input")
        last = ""
        while not self._ended.is_set():
            try:
                for page in pages(self._handler, LINES, self._read):
                    self._read = page
                    for source, lines in page.lines.items():
                        for line in lines:
                            self._arrived.put((source, line))
                pause, last = ASK_SECONDS, ""
            except AuthenticationError as error:
                self._say(f"{error.message}; no longer following the logs there", last)
                return
            except OcattachError as error:
                last = self._say(f"Environment not reachable: {error.message}", last)
                pause = AGAIN_SECONDS
                self._handler.disconnect()
            except BaseException as error:  # noqa: BLE001 - the link's log goes on
                failure = as_error(error, state_directory(os.environ) / FILE)
                self._say(f"{failure.message}; no longer following the logs there. {failure.hint}", last)
                return
            self._ended.wait(pause)

    def _say(self, text: str, last: str) -> str:
        """Report a notice unless it repeats the last one. Returns it."""
        if text != last and not self._ended.is_set():
            self._arrived.put(("", text))
        return text

    def __enter__(self) -> None:
        self._thread.start()

    def __exit__(self, *_: object) -> None:
        self._ended.set()
        self._handler.disconnect()
        self._thread.join(JOIN_SECONDS)


def following(path: Path, start: int) -> Iterator[str]:
    """Yield new text of the link's log endlessly, across log rotation; an empty text if there is none."""
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
    """Whether an open file is still the file at this path; for no file, whether the path does not exist."""
    if file is None:
        return not path.exists()
    try:
        return os.path.samestat(os.fstat(file.fileno()), path.stat())
    except FileNotFoundError:  # it is being replaced
        return True
