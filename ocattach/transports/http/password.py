"""Gets the password of a daemon at a URL: from a variable, a command, or a prompt."""

import os
from collections.abc import Mapping
from dataclasses import dataclass, field

from ocattach.config.spec import ConnectionSpec
from ocattach.config.targets.http import HTTPTarget
from ocattach.config.targets.local import LocalTarget
from ocattach.errors import AuthenticationError, TimedOutError
from ocattach.printable import command_line
from ocattach.transports.base import Ask, Question

COMMAND_SECONDS = 60
"""The timeout of a password command, which may itself open a prompt."""

SHOWN = 500
"""Characters of the output of a failed command that are shown."""

WAYS = "Name a variable in password_env or a program in password_command, or connect from a terminal"


@dataclass(frozen=True, slots=True)
class Password:
    """A password, and its source for messages."""

    text: str = field(repr=False)
    origin: str


def given_password(
    target: HTTPTarget, *, ask: Ask, timeout: float, environ: Mapping[str, str] = os.environ
) -> Password | None:
    """Return the password from the connection's variable or command; None if it has neither.

    Raises AuthenticationError, with the source, if that has none.
    """
    if target.password_env is not None:
        origin = f"the variable {target.password_env}"
        text = environ.get(target.password_env)
        if not text:
            hint = f"{command_line('export', f'{target.password_env}=PASSWORD')}, and connect again"
            raise without_password(target, origin, "is not set", hint)
        return checked(text, origin)
    if target.password_command:
        return password_of_command(target, ask=ask, timeout=min(timeout, COMMAND_SECONDS))
    return None


def password_of_command(target: HTTPTarget, *, ask: Ask, timeout: float) -> Password:
    """Return the output of a program on this machine, which gets no input and no terminal."""
    from ocattach.transports.local import LocalTransport  # noqa: PLC0415 - for few

    program = target.password_command[0]
    origin = f"the command {program}"
    hint = f"See what it prints: {command_line(program)} …"
    with LocalTransport(ConnectionSpec(target=LocalTarget()), ask=ask) as machine:
        try:
            result = machine.run(target.password_command, timeout=timeout)
        except TimedOutError as error:
            raise without_password(target, origin, f"did not end in {timeout:.0f} s", hint) from error
    if result.exit_code:
        said = result.stderr[-SHOWN:].decode(errors="replace").strip()
        failed = f"failed with exit code {result.exit_code}" + (f": {said}" if said else "")
        raise without_password(target, origin, failed, hint)
    text = result.stdout.decode(errors="replace").removesuffix("\n").removesuffix("\r")
    if not text:
        raise without_password(target, origin, "printed none", hint)
    return checked(text, origin)


def without_password(target: HTTPTarget, origin: str, problem: str, hint: str) -> AuthenticationError:
    """Return the error for a variable or command that gives no password."""
    text = f"The password for {target.url} is to come from {origin}, which {problem}"
    return AuthenticationError(text, hint=hint)


def checked(text: str, origin: str) -> Password:
    """Return the password. Raises AuthenticationError if it cannot be passed in a variable or an HTTP header."""
    if not text.isprintable():
        raise AuthenticationError(f"What {origin} gives as a password has line breaks or control characters")
    return Password(text, origin)


def typed_password(target: HTTPTarget, username: str, *, again: bool, ask: Ask) -> Password:
    """Prompt for the password. Raises AuthenticationError without a terminal, and for an empty answer."""
    sorry = "That was not accepted. " if again else ""
    try:
        text = ask(Question(f"{sorry}Password of {username} for {target.url}: ", secret=True))
    except AuthenticationError as error:
        raise AuthenticationError(
            f"{target.url} requires a password, and there is no terminal to ask for it", hint=WAYS
        ) from error
    if not text:
        raise AuthenticationError(f"No password was typed for {target.url}", hint=WAYS)
    return checked(text, "your terminal")
