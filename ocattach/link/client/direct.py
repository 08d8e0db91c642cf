"""Connections without a link, to daemons whose URL is reachable from here."""

from ocattach.config.spec import ConnectionSpec
from ocattach.errors import AuthenticationError
from ocattach.link.messages import Foreground, no_password
from ocattach.transports import open_handler
from ocattach.transports.base import Ask, DirectDaemon, Question


def reach(spec: ConnectionSpec, foreground: Foreground, *, timeout: float) -> DirectDaemon:
    """Return the daemon once it answers for the connection's directory. Starts nothing, and leaves nothing open."""
    with open_handler(spec, ask=asker(foreground), timeout=timeout) as handler:
        foreground.step(handler.check_available().summary)
        daemon = handler.direct()
    foreground.step(f"Daemon already running on port {daemon.port} ({daemon.version})")
    foreground.step("Connected directly")
    if not daemon.password:
        foreground.notice(no_password(daemon.port))
    return daemon


def stop_daemon(spec: ConnectionSpec, foreground: Foreground, *, force: bool, timeout: float) -> int | None:
    """Stop the daemon, if its transport can."""
    with open_handler(spec, ask=asker(foreground), timeout=timeout) as handler:
        return handler.stop_daemon(force=force)


def asker(foreground: Foreground) -> Ask:
    """Return a function that asks the person at the terminal."""

    def ask(question: Question) -> str:
        if question.notice:
            foreground.notice(question.text)
            return ""
        answer = foreground.answer(question.text, secret=question.secret, confirm=question.confirm)
        if answer is None:
            raise AuthenticationError(
                f"This question needs a terminal: {question.text}",
                hint="Run the command once from a terminal",
            )
        return answer

    return ask
