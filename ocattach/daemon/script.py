"""Makes the commands and input of the shell scripts, and parses their answers."""

import re
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Protocol

from ocattach.errors import ConnectionLostError, UsageError
from ocattach.execution import CommandResult

MARK = b"ocattach:"
MAX_ANSWER = 256 * 1024
"""Bytes of a script's output that are parsed, whatever an environment sends."""

NEEDED = {"probe.sh": ("environment.sh", "lookup.sh"), "owner.sh": ()}
"""The files whose functions a script uses; environment.sh if it is not listed."""

VARIABLE_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")


class RunCommand(Protocol):
    """Runs a command in an environment; all that this room needs of a transport."""

    def __call__(self, argv: Sequence[str], *, stdin: bytes = b"", timeout: float) -> CommandResult:
        """Run `argv` with `stdin` as its input, for at most `timeout` seconds."""
        ...


class Report:
    """The answer of a script: keys with lists of values."""

    def __init__(self, values: Mapping[str, list[str]]) -> None:
        self._values = values

    def __contains__(self, key: str) -> bool:
        return key in self._values

    def all(self, key: str) -> list[str]:
        """Return all values of a key, in order."""
        return self._values.get(key, [])

    def first(self, key: str) -> str | None:
        """Return the first value of a key; None without one."""
        return next(iter(self.all(key)), None)


def script_argv(name: str, *arguments: str) -> list[str]:
    """Return the command that runs a script. Secrets do not belong in its arguments, but in `script_input`."""
    folder = Path(__file__).parent
    text = "".join((folder / part).read_text() for part in (*NEEDED.get(name, ("environment.sh",)), name))
    return ["sh", "-c", text, "ocattach", *arguments]


def script_input(
    *, env: Iterable[tuple[str, str]] = (), unset: Iterable[str] = (), password: str = ""
) -> bytes:
    """Return the input for `read_input` of environment.sh. Raises UsageError for invalid variables."""
    lines = [f"unset {name}" for name in unset]
    lines += [f"export {name}={value}" for name, value in env]
    for name in [*unset, *(name for name, _ in env)]:
        if not VARIABLE_NAME.fullmatch(name):
            raise UsageError(f"{name!r} is not a valid name of an environment variable")
    for name, value in env:
        if "\n" in value or "\0" in value:
            raise UsageError(f"The value of {name} contains a line break, which is not supported")
    if password:
        lines.append(f"password {password}")
    return "".join(f"{line}\n" for line in [*lines, "end"]).encode()


def parse_report(result: CommandResult, *, script: str) -> Report:
    """Parse the output of a script. Lines that shells and their start-up files printed are ignored.

    Raises ConnectionLostError if the output has no answer of the script.
    """
    values: dict[str, list[str]] = {}
    for line in result.stdout[:MAX_ANSWER].splitlines():
        if line.startswith(MARK) and b"=" in line:
            key, _, value = line[len(MARK) :].decode(errors="replace").partition("=")
            values.setdefault(key, []).append(value.replace("\0", "\N{REPLACEMENT CHARACTER}"))
    if script not in values:
        output = (result.stderr or result.stdout)[-500:].decode(errors="replace").strip()
        raise ConnectionLostError(
            f"The {script} script did not run in the environment (exit code {result.exit_code})"
            + (f": {output}" if output else "")
        )
    return Report(values)
