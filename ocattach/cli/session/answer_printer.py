"""Reports on a prompt that was sent: as it proceeds for people, or as one JSON document at the end."""

import sys
from dataclasses import asdict
from typing import Any, NoReturn

import click

from ocattach.cli.output import print_json
from ocattach.cli.session.place import place_json
from ocattach.cli.terminal import say, spoken
from ocattach.config.spec import ConnectionSpec
from ocattach.errors import OcattachError, RunFailedError
from ocattach.opencode.pending import PendingRequest
from ocattach.opencode.prompts import Prompt
from ocattach.printable import command_line
from ocattach.sessions.diagnosis import Surroundings, clock, diagnose
from ocattach.sessions.messages import Turn
from ocattach.sessions.record import Session
from ocattach.sessions.run import RunObserver
from ocattach.sessions.situation import Situation
from ocattach.survey.find import FoundSession

FAILED = {"never-arrived", "no-output"}
"""Findings that make a run a failure although OpenCode reported no error."""


class NoticeReporter(RunObserver):
    """Reports only a lost and restored connection: the observer of a run whose answer is not awaited."""

    def __init__(self, *, quiet: bool) -> None:
        self._quiet = quiet

    def lost(self, reason: str) -> None:
        """Report that the connection was lost and is retried."""
        self._notice(f"Connection to the daemon lost, retrying: {reason}")

    def found(self) -> None:
        """Report that the daemon is reachable again."""
        self._notice("Connected to the daemon again")

    def _notice(self, text: str) -> None:
        if not self._quiet:
            say(f"! {text}", colour="yellow")


class AnswerPrinter(NoticeReporter):
    """Prints the answer to one prompt: its text on stdout and notices on stderr, or one document at the end."""

    def __init__(self, session: Session, spec: ConnectionSpec, *, output: str, quiet: bool) -> None:
        super().__init__(quiet=quiet)
        self._session = session
        self._spec = spec
        self._is_json = output == "json"
        self._last = ""

    def begin(self) -> None:
        """Print which session has the prompt."""
        if not self._quiet:
            say(f"✓ Sent to {self._session.id} in {self._spec.title()}")

    def said(self, text: str) -> None:
        """Print more of the answer."""
        if self._is_json:
            return
        click.echo(spoken(text), nl=False)
        sys.stdout.flush()
        self._last = text[-1:] or self._last

    def waits(self, asked: PendingRequest) -> None:
        """Print a pending request and the command that answers it; also with --quiet, since the run waits for it."""
        self._end_line()
        say(f"! Waiting for {asked.kind}: {asked.wanted}", colour="yellow")
        say(f"  {asked.command}")

    def retries(self, situation: Situation) -> None:
        """Report that the model server failed and when the request is retried."""
        again = f"; next try at {clock(situation.next_try)}" if situation.next_try else ""
        self._end_line()
        self._notice(f"The model server failed: {situation.reason or 'no reason given'}{again}")

    def lost(self, reason: str) -> None:
        """Report that the connection was lost; the run continues in the environment."""
        self._end_line()
        self._notice(f"Connection to the daemon lost, retrying; the run continues there: {reason}")

    def _end_line(self) -> None:
        """End an unfinished line of the answer before a notice, if both go to the terminal."""
        if self._last not in {"", "\n"} and sys.stdout.isatty():
            click.echo(err=True)
            self._last = "\n"

    def print_sent(self, prompt: Prompt) -> None:
        """Print the session that has the prompt now: its id, or a document."""
        if self._is_json:
            self._print({"prompt": prompt.id, "error": None})
        else:
            click.echo(self._session.id)

    def end(self, turn: Turn) -> None:
        """Print how the run ended. Raises RunFailedError, or SystemExit after a JSON document, if it failed."""
        if self._last not in {"", "\n"}:
            click.echo()
        findings = diagnose(self._session, turn, Situation(), Surroundings())
        error = None
        if turn.failure or any(finding.code in FAILED for finding in findings):
            error = RunFailedError(
                findings[0].message if findings else str(turn.failure),
                hint=f"See: {command_line('ocattach', 'session', 'show', self._session.id)}",
            )
        if self._is_json:
            self._print({**turn_json(turn), "error": error and error.to_json()})
            if error is not None:
                raise SystemExit(error.exit_code)
        elif error is not None:
            raise error
        else:
            for finding in findings:
                self._notice(finding.message)

    def fail(self, error: OcattachError, prompt: Prompt) -> NoReturn:
        """Report an error after which the outcome of the run is unknown, and exit with its code."""
        self._end_line()
        if not self._is_json:
            raise error
        self._print({"prompt": prompt.id, "error": error.to_json()})
        raise SystemExit(error.exit_code)

    def _print(self, outcome: dict[str, Any]) -> None:
        session = place_json(FoundSession(self._spec, self._session))
        print_json({"session": session, **outcome})


def turn_json(turn: Turn) -> dict[str, Any]:
    """A prompt and its answer, as JSON."""
    last = turn.last
    return {
        "prompt": turn.prompt.id,
        "text": turn.text,
        "model": last.full_model if last else "",
        "agent": last.agent if last else "",
        "finish": last.finish if last else "",
        "tools": list(turn.tools),
        "tokens": asdict(turn.tokens),
        "cost": turn.cost,
    }
