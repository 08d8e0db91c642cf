"""The person at the terminal, as a link sees them."""

import sys
from contextlib import AbstractContextManager

import click

from ocattach.cli.progress import Progress
from ocattach.cli.terminal import escape, has_colours, has_terminal, say
from ocattach.errors import OcattachError


class Person:
    """Shows steps and notices, and asks questions (`Foreground` in link/messages)."""

    def __init__(self, *, quiet: bool = False) -> None:
        self._quiet = quiet
        self._progress = Progress(quiet=quiet)

    def asking(self) -> AbstractContextManager[None]:
        """Show during a context that environments are asked."""
        return self.waiting("Asking the environments")

    def waiting(self, text: str) -> AbstractContextManager[None]:
        """Show what is being done during a context, first this."""
        return self._progress.shown(text)

    def doing(self, text: str) -> None:
        """Show what is done now, where there is a terminal."""
        self._progress.doing(text)

    def heading(self, text: str) -> None:
        """Print what is about to be done."""
        if not self._quiet:
            say(text)

    def step(self, text: str) -> None:
        """Print a completed step."""
        if self._quiet:
            return
        self._progress.doing("")
        mark = click.style("✓", fg="green") if has_colours(sys.stderr) else "✓"
        click.echo(f"{mark} {escape(text)}", err=True)

    def notice(self, text: str) -> None:
        """Print a notice about an earlier event, such as a daemon that crashed."""
        if not self._quiet:
            self._progress.doing("")
            say(f"! {text}", colour="yellow")

    def answer(self, text: str, *, secret: bool, confirm: bool) -> str | None:
        """Ask a question and return the answer; None without a terminal. There is no default answer."""
        if not has_terminal():
            return None
        self._progress.doing("")
        if confirm:
            return "yes" if click.confirm(escape(text), default=None, err=True) else "no"
        answer: str = click.prompt(
            escape(text), hide_input=secret, prompt_suffix="", err=True, default="", show_default=False
        )
        return answer

    def error(self, error: OcattachError) -> None:
        """Print an error and its hint."""
        say(f"ocattach: {error.message}", colour="red")
        if error.hint:
            say(f"  {error.hint}")
