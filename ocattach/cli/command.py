"""Shared by all commands: help that begins with examples, the output option, and hints for errors."""

import inspect
import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any, TypeVar

import click

from ocattach.config.settings import LONGEST_SECONDS
from ocattach.errors import (
    DaemonStartError,
    InterruptedByUserError,
    NotTrustedError,
    OcattachError,
    UsageError,
)
from ocattach.printable import command_line

Decorated = TypeVar("Decorated", bound=Callable[..., Any])

UNEXPLAINED = {UsageError.exit_code, NotTrustedError.exit_code, InterruptedByUserError.exit_code}
"""Exit codes of errors that `ocattach doctor` and `ocattach logs` cannot explain."""

HELP_OPTIONS = {"help_option_names": ["-h", "--help"]}


class Command(click.Command):
    """A command whose help begins with its purpose, the docstring of its function, and examples."""

    def __init__(
        self,
        *args: Any,
        examples: str,
        values: Mapping[str, Mapping[str, str]] | None = None,
        **settings: Any,
    ) -> None:
        """Take the examples as one text, a line each. `values` of an option are explained below a title."""
        settings.setdefault("context_settings", HELP_OPTIONS)
        super().__init__(*args, **settings)
        self.examples = examples.strip("\n").splitlines()
        """Lines, each with a command to paste and what it does."""
        self.values = values or {}

    def format_help(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Write the whole help."""
        formatter.write_text(inspect.cleandoc(self.help or ""))
        self.write_examples(formatter, self.examples)
        self.format_usage(ctx, formatter)
        self.format_options(ctx, formatter)
        for title, meanings in self.values.items():
            with formatter.section(title):
                formatter.write_dl([*meanings.items()])

    def write_examples(self, formatter: click.HelpFormatter, examples: Sequence[str]) -> None:
        """Write examples as they are, a line each."""
        with formatter.section("Examples"):
            for line in examples:
                formatter.write(f"{'':{formatter.current_indent}}{line}\n")
        formatter.write_paragraph()


def output_option(function: Decorated) -> Decorated:
    """Add the option `-o table|json`."""
    option = click.option(
        "-o", "--output", type=click.Choice(["table", "json"]), default="table", help="Output format."
    )
    return option(function)


def timeout_option(purpose: str, *, default: float | None = None) -> Callable[[Decorated], Decorated]:
    """The option `--timeout SECONDS`."""
    return click.option("--timeout", type=Seconds(), default=default, metavar="SECONDS", help=purpose)


class Seconds(click.FloatRange):
    """A number of seconds that a command may wait."""

    name = "seconds"

    def _describe_range(self) -> str:
        return ""  # not in the help

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        """Refuse what is not a number, and what is out of range."""
        try:
            seconds = float(value)
        except ValueError:
            seconds = math.nan
        if not 1 <= seconds <= LONGEST_SECONDS:
            self.fail(f"{value!r} is not a number of seconds from 1 to {LONGEST_SECONDS}.", param, ctx)
        return seconds


def silence_libraries() -> None:
    """Keep log records of libraries off the terminal. Called once, before a command that may connect."""
    import logging  # noqa: PLC0415 - warm

    logging.getLogger().addHandler(logging.NullHandler())


@contextmanager
def advice(target: str | None) -> Iterator[None]:
    """Add a hint to errors about a connection that have none: the command that shows the cause."""
    try:
        yield
    except OcattachError as error:
        if target is None or error.exit_code in UNEXPLAINED:
            raise
        is_failed_start = isinstance(error, DaemonStartError)
        purpose, command = (
            ("Check its log", "logs") if is_failed_start else ("Find the failing step", "doctor")
        )
        error.with_hint(f"{purpose}: {command_line('ocattach', command, target)}")
        raise
