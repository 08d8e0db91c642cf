"""`ocattach doctor`: run the checks of a connection or of this machine and print each result."""

import os
import sys
import textwrap
import time
from functools import partial

import click

from ocattach.cli.command import Command, output_option, timeout_option
from ocattach.cli.output import print_json
from ocattach.cli.person import Person
from ocattach.cli.target import connection_argument
from ocattach.cli.terminal import escape, has_colours, is_dumb, say, terminal_width
from ocattach.cli.tui_program import TuiProgram
from ocattach.config.files.paths import state_directory
from ocattach.config.variables import working_directory
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
@connection_argument("target", "[NAME|URI]", required=False)
@timeout_option("Timeout of each step; default 10.", default=10)
@output_option
def doctor(target: str | None, timeout: float, output: str) -> None:
    """Diagnose a connection, or the setup of this machine. Starts no daemon and changes nothing."""
    screen = Screen(quiet=output == "json")
    ladder = Ladder(began=screen.began, done=screen.done, log=state_directory(os.environ) / FILE)
    examined = None
    if target is None:
        MachineCheck(ladder, cwd=working_directory(), environ=os.environ, tui=tui_program).run()
    else:
        with ConnectionCheck(
            ladder,
            target,
            cwd=working_directory(),
            environ=os.environ,
            ask=patient(ladder, screen),
            timeout=timeout,
            tui=tui_program,
        ) as examination:
            examination.run()
            examined = examination.spec
    screen.end()
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
        self._skipped: dict[str, list[str]] = {}
        """The steps that are not printed yet, by why they were skipped."""

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
        return NARROW_INDENT if self._is_live and terminal_width(sys.stdout) < NARROW else INDENT

    def _wrapped(self, text: str, within: int = 0) -> list[str]:
        """The lines of a text, wrapped to the width of the terminal, `within` columns further to the right."""
        if not self._is_live:
            return text.splitlines()
        width = max(WORD_WIDTH, terminal_width(sys.stdout) - len(self._indent) - within)
        wrap = partial(textwrap.wrap, width=width, break_long_words=False, break_on_hyphens=False)
        return [part for line in text.splitlines() for part in wrap(line) or [""]]

    def done(self, rung: Rung) -> None:
        """Print a result: mark, name, time and finding, and the hint below. Skipped steps share a line."""
        if self._quiet:
            return
        self.clear()
        if rung.status is Status.SKIPPED:
            self._skipped.setdefault(rung.found, []).append(rung.name)
            return
        self.end()
        took = "" if rung.seconds is None else f"{rung.seconds * 1000:.0f} ms"
        self._print(rung.status, rung.name, took, rung.found)
        if rung.error and rung.error.hint:
            arrow = click.style("→", fg="cyan") if has_colours(sys.stdout) else "→"
            hint = f"\n{self._indent}  ".join(self._wrapped(escape(rung.error.hint), within=2))
            click.echo(f"{self._indent}{arrow} {hint}")

    def end(self) -> None:
        """Print the steps that were skipped."""
        for reason, names in self._skipped.items():
            self._print(Status.SKIPPED, "not checked", "", f"{', '.join(names)}: {reason}")
        self._skipped.clear()

    def _print(self, status: Status, name: str, took: str, found: str) -> None:
        wanted = COLOURS[status] if has_colours(sys.stdout) else None
        mark = click.style(MARKS[status], fg=wanted) if wanted else MARKS[status]
        head, break_line = f"{mark} {name:<{NAME_WIDTH}} {took:>{TIME_WIDTH}}", f"\n{self._indent}"
        lines = break_line.join(self._wrapped(escape(found)))
        click.echo(f"{head}{'  ' if self._indent == INDENT else break_line}{lines}")
