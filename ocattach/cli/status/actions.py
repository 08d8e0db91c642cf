"""What keys of `--status --watch` do with a row or a request. Threads do the work; its result is a message."""

import os
import threading
from collections.abc import Callable, Sequence
from functools import partial

from ocattach.cli.commands.ports import program
from ocattach.cli.person import Person
from ocattach.cli.terminal import escape
from ocattach.config.files.paths import state_directory
from ocattach.config.spec import ConnectionSpec
from ocattach.daemon.probe import is_port
from ocattach.defects import FILE, as_error
from ocattach.errors import DefectError, OcattachError, UsageError
from ocattach.link.client.access import no_person
from ocattach.link.client.foreground import end_link, stop_daemon
from ocattach.link.client.forwards import ForwardedPort, forward, list_ports
from ocattach.opencode.api import DaemonClient
from ocattach.opencode.pending import PendingRequest, Question, answer, reply
from ocattach.opencode.sessions import Reply
from ocattach.sessions.answers import numbered
from ocattach.survey.pending import respond
from ocattach.survey.status import Survey

SECONDS = 30
"""Timeout for the link, which may have to be started."""
DECISIONS: dict[str, tuple[Reply, str]] = {
    "o": ("once", "Allowed once"),
    "a": ("always", "Always allowed"),
    "x": ("reject", "Rejected"),
}
CURSOR = "▏"
LONGEST = 2000
"""Characters that can be typed in a line."""


class Actions:
    """The actions, and the message about the last one."""

    def __init__(self, survey: Survey, redraw: Callable[[], None]) -> None:
        self._survey, self._redraw = survey, redraw
        self._silent = Person(quiet=True, asks=False)  # the table uses the screen
        self.message = ""
        self.mode: Callable[[str], None] | None = None
        """Takes the next key, where that confirms an action or belongs to a line that is typed."""
        self.sent: set[tuple[int, str]] = set()
        """The requests that are being answered, or have been: row and id. Another row may report the same id."""

    def press(self, key: str, number: int) -> None:
        """Handle a key for a row."""
        keys = {"d": self._disconnect, "s": self._stop, "p": self._list_ports, "f": self._forward}
        if key in keys and self._may_touch(number):
            keys[key](number, self._survey.entries[number].spec)

    def respond(self, key: str, number: int, request: PendingRequest, *, is_whole: bool) -> None:
        """Handle a key for a request of a row; `is_whole` says whether the screen shows all of the request."""
        if isinstance(request, Question):
            if key == "x":
                self._send(number, request, partial(answer, answers=None), "Rejected")
            elif key == "a" or key.isdigit():
                self._ask_part(number, request, [], key if key.isdigit() else "")
        elif key in DECISIONS:
            decision, words = DECISIONS[key]
            act = partial(
                self._send, number, request, partial(reply, reply=decision), f"{words}: {request.wanted}"
            )
            longer = "" if is_whole else "Not all of this request is shown (see ocattach session waiting). "
            if decision == "always":
                allowed = ", ".join(request.always) or request.permission
                self._confirm(f"{longer}Press y to allow until the daemon stops: {allowed}", act)
            elif decision == "once" and longer:
                self._confirm(f"{longer}Press y to allow it", act)
            else:
                act()

    def name(self, number: int) -> str:
        """The name of a row."""
        spec = self._survey.entries[number].spec
        return escape(spec.name or spec.display())

    def _may_touch(self, number: int) -> bool:
        refusal = self._survey.entries[number].refusal
        if refusal is not None:
            self.message = f"{self.name(number)} is not approved. {refusal.hint}"
        return refusal is None

    def _disconnect(self, number: int, spec: ConnectionSpec) -> None:
        name = self.name(number)
        if not spec.target.needs_link:
            self.message = f"{name} has no link: clients connect to its URL"
            return

        def end() -> str:
            ended = end_link(spec.link_key(os.environ), os.environ)
            return f"Disconnected {name}" if ended else f"{name} was not connected"

        self._do(end, number, f"Disconnecting {name} …")

    def _stop(self, number: int, spec: ConnectionSpec) -> None:
        name = self.name(number)

        def stop() -> str:
            pid = stop_daemon(spec, self._silent, os.environ, force=False, timeout=SECONDS)
            return f"Stopped the daemon of {name} (pid {pid})" if pid else f"No daemon is running in {name}"

        question = f"Stop the daemon of {name} and its running sessions? Press y to stop"
        self._confirm(
            question, lambda: self._do(stop, number, f"Stopping the daemon of {name} …"), "Not stopped"
        )

    def _list_ports(self, number: int, spec: ConnectionSpec) -> None:
        name = self.name(number)

        def ports_line() -> str:
            found = list_ports(spec, self._silent, os.environ, timeout=SECONDS)
            shown = [f"{each['port']} {program(each)}" for each in found if not each["opencode"]]
            return f"Ports of {name}: {', '.join(shown)}" if shown else f"No program listens in {name}"

        self._do(ports_line, number, f"Listing ports of {name} …")

    def _forward(self, number: int, spec: ConnectionSpec) -> None:
        name = self.name(number)

        def start(port: str) -> None:
            if not is_port(port):
                self.message = "Not forwarded"
                return

            def run() -> str:
                wanted = [(None, int(port))]
                forward(spec, wanted, self._silent, os.environ, timeout=SECONDS, on_open=show)
                raise DefectError("A forwarded port ended without an error")

            def show(opened: Sequence[ForwardedPort]) -> None:
                url = f"http://127.0.0.1:{opened[0].local}"
                self._show(f"{url} is port {port} of {name}, until you quit")

            self._do(run, number, f"Forwarding port {port} of {name} …")

        self._type(f"Port of {name} to forward, then Enter: ", start, is_taken=str.isdigit)

    def _ask_part(
        self, number: int, request: Question, answers: list[list[str]], typed: str = "", problem: str = ""
    ) -> None:
        """Let the user type the answer to the next question of a request; the last one sends them all."""
        if not request.parts:
            self.message = "This request has no question. Press x to reject it"
            return
        part = request.parts[len(answers)]

        def take(text: str) -> None:
            try:
                given = [*answers, numbered(request, part, text)]
            except UsageError as error:
                self._ask_part(number, request, answers, problem=f"{error.message}. ")
                return
            if len(given) < len(request.parts):
                self._ask_part(number, request, given)
                return
            words = "; ".join(", ".join(labels) for labels in given)
            self._send(number, request, partial(answer, answers=given), f"Answered {words}")

        several = ", several with commas" if part.is_multiple else ""
        which = f" to {part.header or part.text}" if len(request.parts) > 1 else ""
        self._type(f"{problem}Answer{which} by number{several}, then Enter: ", take, typed)

    def _send(self, number: int, request: PendingRequest, send: Callable[..., None], done: str) -> None:
        """Respond to a request of a row, unless it is another one by now."""
        entry = self._survey.entries[number]

        def send_checked(client: DaemonClient, found: PendingRequest) -> None:
            if found.details != request.details:
                raise OcattachError(f"{request.id} has changed", hint="Read it again")
            send(client, found)

        def run() -> str:
            try:
                ask = no_person(entry.spec)
                respond(request.id, type(request), [entry], send_checked, ask=ask, environ=os.environ)
            except BaseException:
                self.sent.discard((number, request.id))
                raise
            return done

        self.sent.add((number, request.id))
        self._do(run, number, "Sending the answer …")

    def _confirm(self, question: str, act: Callable[[], None], otherwise: str = "Not allowed") -> None:
        """Act if the next key is y."""

        def take(key: str) -> None:
            self.mode, self.message = None, otherwise
            if key == "y":
                act()

        self.mode, self.message = take, question

    def _type(
        self,
        label: str,
        take: Callable[[str], None],
        typed: str = "",
        is_taken: Callable[[str], bool] = lambda _: True,
    ) -> None:
        """Collect the keys of a line; Enter calls `take` with it, Escape cancels."""

        def press(key: str) -> None:
            self.mode, self.message = None, "Cancelled"
            if key == "enter":
                take(typed)
            elif key != "escape":
                is_typed = len(key) == 1 and is_taken(key)
                text = typed[:-1] if key == "backspace" else typed + key * is_typed
                self._type(label, take, text[:LONGEST], is_taken)

        self.mode, self.message = press, f"{label}{typed}{CURSOR}"

    def _show(self, message: str) -> None:
        self.message = message
        self._redraw()

    def _do(self, what: Callable[[], str], number: int, doing: str) -> None:
        """Run an action in a thread and show its result below the table."""
        self.message = doing

        def run() -> None:
            try:
                message = what()
            except BaseException as failure:  # noqa: BLE001 - whatever it is, the table stays
                error = as_error(failure, state_directory(os.environ) / FILE)
                message = f"{error.message}. {error.hint}"
            self._show(message)
            self._survey.ask([number])

        threading.Thread(target=run, name="ocattach-watch", daemon=True).start()
