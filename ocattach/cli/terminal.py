"""Words for the person at the terminal: steps, questions, errors. All of it goes to stderr; data has stdout."""

import os
import sys
from typing import TYPE_CHECKING, TextIO

import click

from ocattach.errors import OcattachError
from ocattach.printable import printable

if TYPE_CHECKING:
    from rich.console import Console


def escape(text: str) -> str:
    """The text without colours and with every control character written out: it cannot drive the terminal."""
    return printable(click.unstyle(text))


def say(text: str, *, colour: str | None = None, nl: bool = True) -> None:
    """Print a line for people, in colour where they can see it."""
    wanted = colour if sys.stderr.isatty() and "NO_COLOR" not in os.environ else None
    click.echo(click.style(escape(text), fg=wanted) if wanted else escape(text), err=True, nl=nl)


def has_terminal() -> bool:
    """Whether somebody can be asked."""
    return sys.stdin.isatty() and sys.stderr.isatty()


def screen_console(file: TextIO) -> "Console":
    """What draws on a terminal whose size changes; it knows that better than variables that were exported once."""
    from rich.console import Console  # noqa: PLC0415 - for what is drawn alone

    told = {name: value for name, value in os.environ.items() if name not in {"LINES", "COLUMNS"}}
    return Console(file=file, highlight=False, _environ=told)


class Person:
    """The person at this terminal, as a link sees them."""

    def __init__(self, *, quiet: bool = False) -> None:
        self._quiet = quiet

    def heading(self, text: str) -> None:
        """Say what is about to be done."""
        if not self._quiet:
            say(text)

    def step(self, text: str) -> None:
        """Say that a step was taken."""
        if self._quiet:
            return
        if sys.stderr.isatty() and "NO_COLOR" not in os.environ:
            click.echo(f"{click.style('✓', fg='green')} {escape(text)}", err=True)
        else:
            click.echo(f"✓ {escape(text)}", err=True)

    def notice(self, text: str) -> None:
        """Say what happened when nobody was there."""
        if not self._quiet:
            say(f"! {text}", colour="yellow")

    def answer(self, text: str, *, secret: bool, confirm: bool) -> str | None:
        """Ask; None where nobody can be asked. No answer is ever assumed."""
        if not has_terminal():
            return None
        if confirm:
            return "yes" if click.confirm(escape(text), default=None, err=True) else "no"
        answer: str = click.prompt(
            escape(text), hide_input=secret, prompt_suffix="", err=True, default="", show_default=False
        )
        return answer

    def error(self, error: OcattachError) -> None:
        """Say what went wrong and what to do about it."""
        say(f"ocattach: {error.message}", colour="red")
        if error.hint:
            say(f"  {error.hint}")
