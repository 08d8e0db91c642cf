"""What comes of a prompt, told to a person as it comes, and to a script as one document."""

import sys
from typing import Any, NoReturn

import click

from ocattach.cli.output import print_json
from ocattach.cli.session.describe import describe_tokens, spoken
from ocattach.cli.session.place import describe
from ocattach.cli.terminal import say
from ocattach.config.spec import ConnectionSpec
from ocattach.errors import OcattachError, RunFailedError
from ocattach.opencode.permissions import Waiting
from ocattach.opencode.prompts import Prompt
from ocattach.sessions.diagnosis import Surroundings, clock, diagnose
from ocattach.sessions.messages import Turn
from ocattach.sessions.record import Session
from ocattach.sessions.situation import Situation
from ocattach.survey.find import FoundSession

FAILED = {"never-arrived", "no-output"}
"""What is no answer, although nobody called it an error."""


class NoticeReporter:
    """Tells of the way alone: nobody waits for the answer."""

    def __init__(self, *, quiet: bool) -> None:
        self._quiet = quiet

    def said(self, text: str) -> None:
        """Nobody listens."""

    def waits(self, asked: Waiting) -> None:
        """The same."""

    def retries(self, situation: Situation) -> None:
        """The same."""

    def lost(self, reason: str) -> None:
        """Say that it is tried again."""
        self._notice(f"The daemon cannot be reached; trying again: {reason}")

    def found(self) -> None:
        """Say that it goes on."""
        self._notice("The daemon can be reached again")

    def _notice(self, text: str) -> None:
        if not self._quiet:
            say(f"! {text}", colour="yellow")


class Answer(NoticeReporter):
    """The answer to one prompt: its words on stdout, all else on stderr, or one document at the end."""

    def __init__(self, session: Session, spec: ConnectionSpec, *, output: str, quiet: bool) -> None:
        super().__init__(quiet=quiet)
        self._session = session
        self._spec = spec
        self._is_json = output == "json"
        self._last = ""

    def begin(self) -> None:
        """Say which session it is."""
        if not self._quiet:
            say(f"✓ Sent to {self._session.id} in {self._spec.title()}")

    def said(self, text: str) -> None:
        """Print more of the answer."""
        if self._is_json:
            return
        click.echo(spoken(text), nl=False)
        sys.stdout.flush()
        self._last = text[-1:] or self._last

    def waits(self, asked: Waiting) -> None:
        """Say what to type, whatever else is not to be said: it does not go on otherwise."""
        self._end_line()
        say(f"! The session waits for a permission: {asked.wanted}", colour="yellow")
        say(f"  ocattach session reply {asked.id} once")

    def retries(self, situation: Situation) -> None:
        """Say that it takes longer, and why."""
        again = f"; again at {clock(situation.next_try)}" if situation.next_try else ""
        self._end_line()
        self._notice(f"The model server failed: {situation.reason or 'no reason given'}{again}")

    def lost(self, reason: str) -> None:
        """Say that the run does not mind."""
        self._end_line()
        self._notice(f"The daemon cannot be reached; trying again while the run goes on there: {reason}")

    def _end_line(self) -> None:
        """Begin a line of their own for words to the person, where they and the answer are on one screen."""
        if self._last not in {"", "\n"} and sys.stdout.isatty():
            click.echo(err=True)
            self._last = "\n"

    def print_sent(self, prompt: Prompt) -> None:
        """Tell which session has the prompt now."""
        if self._is_json:
            self._print({"prompt": prompt.id, "error": None})
        else:
            click.echo(self._session.id)

    def end(self, turn: Turn) -> None:
        """Tell what has come of it; where that is no answer, as the error that it is."""
        if self._last not in {"", "\n"}:
            click.echo()
        findings = diagnose(self._session, turn, Situation(), Surroundings())
        error = None
        if turn.failure or any(finding.code in FAILED for finding in findings):
            error = RunFailedError(
                findings[0].message if findings else str(turn.failure),
                hint=f"See: ocattach session show {self._session.id}",
            )
        if self._is_json:
            self._print({**describe_turn(turn), "error": error and error.to_json()})
            if error is not None:
                raise SystemExit(error.exit_code)
        elif error is not None:
            raise error
        else:
            for finding in findings:
                self._notice(finding.message)

    def fail(self, error: OcattachError, prompt: Prompt) -> NoReturn:
        """Tell why it is not known what comes of it."""
        self._end_line()
        if not self._is_json:
            raise error
        self._print({"prompt": prompt.id, "error": error.to_json()})
        raise SystemExit(error.exit_code)

    def _print(self, told: dict[str, Any]) -> None:
        where = describe(FoundSession(self._spec, self._session))
        print_json({"session": where, **told})


def describe_turn(turn: Turn) -> dict[str, Any]:
    """A prompt and what came of it, for scripts."""
    last = turn.last
    return {
        "prompt": turn.prompt.id,
        "text": turn.text,
        "model": last.full_model if last else "",
        "agent": last.agent if last else "",
        "finish": last.finish if last else "",
        "tools": list(turn.tools),
        "tokens": describe_tokens(turn.tokens),
        "cost": turn.cost,
    }
