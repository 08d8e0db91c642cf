"""Where the password for a daemon at a URL comes from: a variable, a command, or the person at the terminal."""

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
"""A command may itself ask a person, in a window of its own."""

SHOWN = 500
"""Characters of what a failed command said."""

WAYS = "Name a variable in password_env or a program in password_command, or connect from a terminal"


@dataclass(frozen=True, slots=True)
class Password:
    """A password, and how its origin is called in a sentence."""

    text: str = field(repr=False)
    origin: str


def given_password(
    target: HTTPTarget, *, ask: Ask, timeout: float, environ: Mapping[str, str] = os.environ
) -> Password | None:
    """The password that the connection says how to get; None where a person has to be asked.

    Raises AuthenticationError with the origin where it cannot be had.
    """
    if target.password_env is not None:
        origin = f"the variable {target.password_env}"
        text = environ.get(target.password_env)
        if not text:
            raise AuthenticationError(
                f"The password for {target.url} is to come from {origin}, which is not set",
                hint=f"{command_line('export', f'{target.password_env}=PASSWORD')}, and connect again",
            )
        return checked(text, origin)
    if target.password_command:
        return password_of_command(target, ask=ask, timeout=min(timeout, COMMAND_SECONDS))
    return None


def password_of_command(target: HTTPTarget, *, ask: Ask, timeout: float) -> Password:
    """What a program of this machine prints; it gets no input and no terminal."""
    from ocattach.transports.local import LocalTransport  # noqa: PLC0415 - for few

    program = target.password_command[0]
    origin = f"the command {program}"
    hint = f"See what it prints: {command_line(program)} …"
    with LocalTransport(ConnectionSpec(target=LocalTarget()), ask=ask) as machine:
        try:
            result = machine.run(target.password_command, timeout=timeout)
        except TimedOutError as error:
            raise AuthenticationError(
                f"The password for {target.url} is to come from {origin}, which did not end in {timeout:.0f} s",
                hint=hint,
            ) from error
    if result.exit_code:
        said = result.stderr[-SHOWN:].decode(errors="replace").strip()
        raise AuthenticationError(
            f"The password for {target.url} is to come from {origin}, which failed with exit code {result.exit_code}"
            + (f": {said}" if said else ""),
            hint=hint,
        )
    text = result.stdout.decode(errors="replace").removesuffix("\n").removesuffix("\r")
    if not text:
        raise AuthenticationError(
            f"The password for {target.url} is to come from {origin}, which printed none", hint=hint
        )
    return checked(text, origin)


def checked(text: str, origin: str) -> Password:
    """The password, where the TUI can be given it: by a variable, and HTTP has one line for it."""
    if not text.isprintable():
        raise AuthenticationError(f"What {origin} gives as a password has line breaks or control characters")
    return Password(text, origin)


def typed_password(target: HTTPTarget, username: str, *, again: bool, ask: Ask) -> Password:
    """What the person types. Raises AuthenticationError where there is none, and for no answer."""
    sorry = "That was not accepted. " if again else ""
    try:
        text = ask(Question(f"{sorry}Password of {username} for {target.url}: ", secret=True))
    except AuthenticationError as error:
        raise AuthenticationError(
            f"{target.url} wants a password, and nobody could be asked for it", hint=WAYS
        ) from error
    if not text:
        raise AuthenticationError(f"No password was typed for {target.url}", hint=WAYS)
    return checked(text, "your terminal")
