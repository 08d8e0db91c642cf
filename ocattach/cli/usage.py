"""What a command line that cannot be understood leads to: the cause in plain words, and the likely meaning.

Imported once there is something to report.
"""

import os
import re
from collections.abc import Sequence

import click

from ocattach.cli.registry import COMMANDS
from ocattach.cli.session import COMMANDS as SESSION_COMMANDS
from ocattach.cli.verbs import ALIASES, VERBS
from ocattach.config.resolver import list_connections
from ocattach.config.suggestion import closest
from ocattach.config.variables import working_directory
from ocattach.errors import ConnectionNotFoundError, UsageError
from ocattach.printable import command_line

OTHERS = ("help", "version")

LIKENESS = 0.8
"""How much a word is like a command that may have been meant: `shop` is a name, not `stop`."""

PLAIN = (
    (re.compile(r"is not a valid float(?: range)?"), "is not a number"),
    (re.compile(r"is not a valid integer(?: range)?"), "is not a whole number"),
    (re.compile(r"\(Did you mean one of: (.*?)\?\)"), r"Did you mean one of: \1?"),
    (re.compile(r"\s+"), " "),
)
"""Phrases of click, and what they mean."""


def plain(message: str) -> str:
    """A message of click on one line, without the names of its types."""
    for phrase, meaning in PLAIN:
        message = phrase.sub(meaning, message)
    return message.strip()


def meant_command(word: str, *, before: Sequence[str] = ()) -> str:
    """The command that a word is most like, as a command line with words before it; empty if it is like none."""
    near = closest(word, [*COMMANDS, *VERBS, *ALIASES, *OTHERS], likeness=LIKENESS)
    return command_line("ocattach", *before, near[0]) if near else ""


def with_meant_command(error: ConnectionNotFoundError, word: str) -> ConnectionNotFoundError:
    """The error for a name without a connection, with the command that may have been meant."""
    meant = meant_command(word) if word else ""
    if not meant:
        return error
    is_like_a_name = error.hint.startswith("Did you mean")
    hint = f"{error.hint}. Or the command: {meant}" if is_like_a_name else f"Did you mean: {meant}"
    return ConnectionNotFoundError(error.message, hint=hint)


def excess_hint(words: Sequence[str]) -> str:
    """The hint for several names where one is taken: the first may be a command."""
    meant = meant_command(words[0])
    listing = list_connections(cwd=working_directory(), environ=os.environ)
    if not meant or words[0] in {listed.spec.name for listed in listing.connections}:
        return "Arguments for the TUI come after --"
    return f"Did you mean: {meant} {command_line(*words[1:])}"


def unknown_command(word: str) -> UsageError:
    """The error for `help WORD`."""
    meant = meant_command(word, before=["help"])
    question = f"Did you mean: {meant}" if meant else "List all: ocattach help"
    return UsageError(f"No command named {word}", hint=question)


def usage_hint(error: click.UsageError, program: str, words: Sequence[str]) -> str:
    """The hint for a command line that cannot be parsed, such as one with the command after a name."""
    if isinstance(error, click.MissingParameter) and error.param is not None and error.param.metavar == "ID":
        return "List the ids of sessions: ocattach session list"
    if unknown := re.match(r"No such command '(.*?)'\.", error.message):
        near = closest(unknown[1], SESSION_COMMANDS)
        return (
            f"Did you mean: {command_line(*program.split(), near[0])}"
            if near
            else f"List all: {program} --help"
        )
    if "unexpected extra argument" in error.message and program.endswith(" send"):
        return "A prompt of several words is one argument: put it in quotes"
    late = next((word for word in words[1:] if word in COMMANDS), None)
    return (
        f"The command goes first: {command_line('ocattach', late)} ..." if late else f"See: {program} --help"
    )
