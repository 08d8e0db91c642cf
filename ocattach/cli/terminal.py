"""Messages, questions and errors on the terminal. They go to stderr; data goes to stdout."""

import codecs
import errno
import io
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING, TextIO

import click

from ocattach.errors import OcattachError
from ocattach.printable import printable

if TYPE_CHECKING:
    from rich.console import Console

OUTPUT_ERRORS = (errno.EPIPE, errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EIO)
SIGNS = {
    "✓": "+",
    "✗": "x",
    "…": "...",
    "→": "->",
    "↑": "^",
    "↓": "v",
    "·": "-",
    "▏": "|",
    "\u2068": "",
    "\u2069": "",
}


def escape(text: str) -> str:
    """The text without ANSI styles and with control characters escaped."""
    return printable(click.unstyle(text))


def spoken(text: str) -> str:
    """Text of a model with its control characters escaped, except tabs, which indent code."""
    return "\t".join(printable(piece) for piece in text.split("\t"))


def say(text: str, *, colour: str | None = None) -> None:
    """Print a line on stderr, in colour if it is a terminal and NO_COLOR is not set."""
    wanted = colour if has_colours(sys.stderr) else None
    click.echo(click.style(escape(text), fg=wanted) if wanted else escape(text), err=True)


def say_error(error: OcattachError, *, before: str = "ocattach: ", colour: str = "red") -> None:
    """Print an error and its hint."""
    say(f"{before}{error.message}", colour=colour)
    if error.hint:
        say(f"  {error.hint}")


def has_colours(file: TextIO) -> bool:
    """Whether a stream shows colours."""
    return file.isatty() and "NO_COLOR" not in os.environ and not is_dumb()


def terminal_width(file: TextIO) -> int:
    """The width of the terminal that a stream is, in columns, also after it was resized."""
    with suppress(OSError):
        if columns := os.get_terminal_size(file.fileno()).columns:  # 0 for one that was never given a size
            return columns
    import shutil  # noqa: PLC0415 - warm; it loads compression

    return shutil.get_terminal_size().columns


def is_dumb() -> bool:
    """Whether the terminal can only print lines, as that of an editor."""
    return os.environ.get("TERM", "") in {"", "dumb", "unknown"}


def set_title(text: str) -> None:
    """Set the title of the terminal, if stdout is one that has a title (OSC 0 of xterm)."""
    if sys.stdout.isatty() and not is_dumb():
        click.echo(f"\x1b]0;{escape(text)}\x07", nl=False)


def prepare_streams() -> None:
    """Make the standard streams usable: those that are closed, and those whose encoding lacks signs.

    Files would get the descriptors of closed ones. Signs that are missing, as from ISO-8859-1, become ASCII ones.
    """
    for number, name in enumerate(("stdin", "stdout", "stderr")):
        if getattr(sys, name) is None:
            os.dup2(os.open(os.devnull, os.O_RDWR), number)
            setattr(sys, name, open(number, "w" if number else "r", closefd=False))  # noqa: SIM115
    codecs.register_error("signs", ascii_sign)
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="signs")


def ascii_sign(error: UnicodeError) -> tuple[str, int]:
    """The replacement of a character that cannot be encoded (error handler of `codecs`)."""
    if not isinstance(error, UnicodeEncodeError):
        raise error
    character = error.object[error.start]
    return SIGNS.get(character, "?"), error.start + 1


@contextmanager
def lost_output_reported() -> Iterator[None]:
    """Exit with 1 when output cannot be written, with an error unless it is a pipe that was closed."""
    try:
        yield
    except OSError as error:
        if error.filename is not None or error.errno not in OUTPUT_ERRORS:
            raise
        null = os.open(os.devnull, os.O_WRONLY)  # takes what is still buffered
        os.dup2(null, sys.stdout.fileno())
        try:
            if error.errno != errno.EPIPE:
                say(f"ocattach: Cannot write the output: {error.strerror}", colour="red")
        except OSError:
            os.dup2(null, sys.stderr.fileno())
        raise SystemExit(1) from None


def has_terminal() -> bool:
    """Whether the user can be asked a question."""
    return sys.stdin.isatty() and sys.stderr.isatty()


def screen_console(file: TextIO) -> "Console":
    """A rich console that follows the size of the terminal and ignores LINES and COLUMNS."""
    from rich.console import Console  # noqa: PLC0415 - heavy

    environ = {name: value for name, value in os.environ.items() if name not in {"LINES", "COLUMNS"}}
    return Console(file=file, highlight=False, _environ=environ)
