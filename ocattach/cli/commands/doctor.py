"""`ocattach doctor`: run the checks of a connection or of this machine and print each result."""

import os
import sys
import textwrap
import time
from functools import partial
from pathlib import Path

import click

from ocattach.cli.command import Command, output_option, timeout_option
from ocattach.cli.complete import connection_names
from ocattach.cli.output import print_json
from ocattach.cli.person import Person
from ocattach.cli.tables import terminal_width
from ocattach.cli.terminal import escape, has_colours, is_dumb, say
from ocattach.cli.tui_program import TuiProgram
from ocattach.config.files.paths import state_directory
from ocattach.defects import FILE
from ocattach.doctor.connection import ConnectionCheck
from ocattach.doctor.ladder import Ladder, Rung, Status
from ocattach.doctor.machine import MachineCheck
from ocattach.link.client.direct import asker
from ocattach.transports.base import Ask, Question

EXAMPLES = """
ocattach doctor                check this machine: programs, files, links
ocattach doctor frontend       check each step of the connection, with its time
ocattach doctor frontend -o json | jq -r '.rungs[] | select(.error) | .error.hint'
"""

MARKS = {Status.OK: "✓", Status.WARNING: "!", Status.FAILED: "✗", Status.SKIPPED: "-"}
COLOURS = {Status.OK: "green", Status.WARNING: "yellow", Status.FAILED: "red", Status.SKIPPED: None}
NAME_WIDTH, TIME_WIDTH, WORD_WIDTH = 14, 8, 30
INDENT = " " * (NAME_WIDTH + TIME_WIDTH + 5)
NARROW, NARROW_INDENT = len(INDENT) + WORD_WIDTH, "  "


@click.command(cls=Command, examples=EXAMPLES)
@click.argument("target", required=False, metavar="[NAME|URI]", shell_complete=connection_names)
@timeout_option("Timeout of each step; default 10.", default=10)
@output_option
def doctor(target: str | None, timeout: float, output: str) -> None:
    """Diagnose a connection, or the setup of this machine. Starts no daemon and changes nothing."""
    screen = Screen(quiet=output == "json")
    ladder = Ladder(began=screen.began, done=screen.done, log=state_directory(os.environ) / FILE)
    examined = None
    if target is None:
        MachineCheck(ladder, cwd=Path.cwd(), environ=os.environ, tui=tui_program).run()
    else:
        with ConnectionCheck(
            ladder,
            target,
            cwd=Path.cwd(),
            environ=os.environ,
            ask=patient(ladder, screen),
            timeout=timeout,
            tui=tui_program,
        ) as examination:
            examination.run()
            examined = examination.spec
    error = ladder.error
    if output == "json":
        print_json(
            {
                "name": examined and examined.name,
                "uri": examined and examined.display(),
                "rungs": [rung.to_json() for rung in ladder.rungs],
                "error": error and error.to_json(),
            }
        )
    elif target is None:
        say("To check a connection: ocattach doctor NAME")
    raise SystemExit(error.exit_code if error else 0)


def tui_program() -> tuple[str, str]:
    """Path and version of the program that shows the TUI."""
    program = TuiProgram(os.environ)
    return program.path, program.version


def patient(ladder: Ladder, screen: "Screen") -> Ask:
    """Return a function that asks the user and subtracts the waiting time from the step."""
    ask_person = asker(Person())

    def ask(question: Question) -> str:
        began = time.monotonic()
        screen.clear()
        try:
            return ask_person(question)
        finally:
            ladder.waited(time.monotonic() - began)

    return ask


class Screen:
    """Prints the result of each check; on a terminal also the name of the running one."""

    def __init__(self, *, quiet: bool) -> None:
        self._quiet = quiet
        self._is_live = not quiet and sys.stdout.isatty() and not is_dumb()

    def began(self, name: str) -> None:
        """Print the name of the running check, on the line of its result."""
        if self._is_live:
            click.echo(f"… {name}", nl=False)

    def clear(self) -> None:
        """Clear the line of the running check."""
        if self._is_live:
            click.echo("\r\x1b[K", nl=False)

    @property
    def _indent(self) -> str:
        """The indentation of findings; on a narrow terminal they begin a line of their own."""
        return NARROW_INDENT if self._is_live and terminal_width() < NARROW else INDENT

    def _wrapped(self, text: str) -> list[str]:
        """The lines of a text, wrapped to the width of the terminal."""
        if not self._is_live:
            return text.splitlines()
        width = max(WORD_WIDTH, terminal_width() - len(self._indent) - len("→ "))
        wrap = partial(textwrap.wrap, width=width, break_long_words=False, break_on_hyphens=False)
        return [part for line in text.splitlines() for part in wrap(line) or [""]]

    def done(self, rung: Rung) -> None:
        """Print a result: mark, name, time and finding, and the hint below."""
        if self._quiet:
            return
        self.clear()
        wanted = COLOURS[rung.status] if has_colours(sys.stdout) else None
        mark = click.style(MARKS[rung.status], fg=wanted) if wanted else MARKS[rung.status]
        took = "" if rung.seconds is None else f"{rung.seconds * 1000:.0f} ms"
        head, break_line = f"{mark} {rung.name:<{NAME_WIDTH}} {took:>{TIME_WIDTH}}", f"\n{self._indent}"
        found = break_line.join(self._wrapped(escape(rung.found)))
        click.echo(f"{head}{'  ' if self._indent == INDENT else break_line}{found}")
        if rung.error and rung.error.hint:
            arrow = click.style("→", fg="cyan") if wanted else "→"
            hint = f"{break_line}  ".join(self._wrapped(escape(rung.error.hint)))
            click.echo(f"{self._indent}{arrow} {hint}")
