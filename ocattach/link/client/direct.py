"""Connections without a link: the daemon's own URL is all that its clients need."""

from typing import TYPE_CHECKING

from ocattach.errors import AuthenticationError
from ocattach.transports import open_handler
from ocattach.transports.base import Ask, DirectDaemon, Question

if TYPE_CHECKING:
    from ocattach.config.spec import ConnectionSpec
    from ocattach.link.messages import Foreground


def reach(spec: "ConnectionSpec", foreground: "Foreground", *, timeout: float) -> DirectDaemon:
    """The daemon, once it answers for the connection's directory; nothing is started, and nothing stays open."""
    with open_handler(spec, ask=asker(foreground), timeout=timeout) as handler:
        foreground.step(handler.check_available().summary)
        daemon = handler.direct()
    foreground.step(f"Daemon already running on port {daemon.port} ({daemon.version})")
    foreground.step("Connected directly")
    return daemon


def stop_daemon(
    spec: "ConnectionSpec", foreground: "Foreground", *, force: bool, timeout: float
) -> int | None:
    """End the daemon, where its transport can."""
    with open_handler(spec, ask=asker(foreground), timeout=timeout) as handler:
        return handler.stop_daemon(force=force)


def asker(foreground: "Foreground") -> Ask:
    """The person at the terminal, as a transport asks them."""

    def ask(question: Question) -> str:
        answer = foreground.answer(question.text, secret=question.secret, confirm=question.confirm)
        if answer is None:
            raise AuthenticationError(
                f"There is no terminal to answer this on: {question.text}", hint="Run it once from a terminal"
            )
        return answer

    return ask
