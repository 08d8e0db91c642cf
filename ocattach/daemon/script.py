"""How our shell scripts are given their input and how their answers are read."""

import re
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Protocol

from ocattach.errors import ConnectionLostError, UsageError
from ocattach.execution import CommandResult

MARK = b"ocattach:"
MAX_ANSWER = 256 * 1024
"""Bytes of a script's output that are looked at: an environment cannot make us hold more."""

NEEDED = {"probe.sh": ("environment.sh", "lookup.sh")}
"""Scripts whose functions stand in other files than environment.sh alone."""

VARIABLE_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")


class RunCommand(Protocol):
    """Runs a command in an environment to its end: the one thing this room needs of a transport."""

    def __call__(self, argv: Sequence[str], *, stdin: bytes = b"", timeout: float) -> CommandResult:
        """Run `argv`, fed with `stdin`, for at most `timeout` seconds."""
        ...


class Report:
    """What a script answered: keys with all their values, in order."""

    def __init__(self, values: Mapping[str, list[str]]) -> None:
        self._values = values

    def __contains__(self, key: str) -> bool:
        return key in self._values

    def all(self, key: str) -> list[str]:
        """Every value of a key."""
        return self._values.get(key, [])

    def first(self, key: str) -> str | None:
        """The first value of a key, None without one."""
        return next(iter(self.all(key)), None)


def script_argv(name: str, *arguments: str) -> list[str]:
    """The command that runs one of our scripts; its secrets go to standard input instead."""
    folder = Path(__file__).parent
    text = "".join((folder / part).read_text() for part in (*NEEDED.get(name, ("environment.sh",)), name))
    return ["sh", "-c", text, "ocattach", *arguments]


def script_input(
    *, env: Iterable[tuple[str, str]] = (), unset: Iterable[str] = (), password: str = ""
) -> bytes:
    """What `read_input` of environment.sh reads. Raises UsageError for what cannot be handed over on one line."""
    lines = [f"unset {name}" for name in unset]
    lines += [f"export {name}={value}" for name, value in env]
    for name in [*unset, *(name for name, _ in env)]:
        if not VARIABLE_NAME.fullmatch(name):
            raise UsageError(f"{name!r} cannot be the name of an environment variable")
    for name, value in env:
        if "\n" in value or "\0" in value:
            raise UsageError(f"The value of {name} has a line break and cannot be handed to a daemon")
    if password:
        lines.append(f"password {password}")
    return "".join(f"{line}\n" for line in [*lines, "end"]).encode()


def parse_report(result: CommandResult, *, script: str) -> Report:
    """A script's answer, with all that shells and their start-up files printed around it left out.

    Raises ConnectionLostError when there is no answer of the script in the output.
    """
    values: dict[str, list[str]] = {}
    for line in result.stdout[:MAX_ANSWER].splitlines():
        if line.startswith(MARK) and b"=" in line:
            key, _, value = line[len(MARK) :].decode(errors="replace").partition("=")
            values.setdefault(key, []).append(value.replace("\0", "\N{REPLACEMENT CHARACTER}"))
    if script not in values:
        said = (result.stderr or result.stdout)[-500:].decode(errors="replace").strip()
        raise ConnectionLostError(
            f"The environment did not run our {script} script (exit code {result.exit_code})"
            + (f": {said}" if said else "")
        )
    return Report(values)
