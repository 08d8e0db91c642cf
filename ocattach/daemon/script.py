"""Runs the shell scripts of this room in an environment, and parses their reports."""

import re
import secrets
import shlex
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Protocol

from ocattach.daemon.unusable import LIMITS, NO_PROCESS, SHOW_LIMITS
from ocattach.errors import ConnectionLostError, UsageError
from ocattach.execution import CommandResult

MAX_ANSWER = 256 * 1024
"""Bytes of a script's output that are parsed, whatever an environment sends."""

COMMON = ("environment.sh", "processes.sh", "daemons.sh")
NEEDED = {"probe": ("login.sh", "lookup.sh"), "start": ("login.sh", "odd_variables.sh")}
"""The files whose functions a script uses, besides the common ones."""

ODD_VARIABLES = (Path(__file__).parent / "odd_variables.sh").read_text()
"""Has to run in the first shell of an environment, for scripts that contain it."""

SHELLS_OWN = frozenset((
    "IFS", "OPTIND", "OPTARG", "PPID", "PWD", "OLDPWD", "UID", "EUID", "GID", "EGID", "GROUPS", "USERNAME", "STATUS",
    "LINENO", "RANDOM", "SECONDS", "HISTCMD", "FUNCNAME", "DIRSTACK", "PIPESTATUS", "ERRNO", "_",
    "SHELLOPTS", "BASHOPTS", "BASH_VERSINFO", "BASH_VERSION",
))  # fmt: skip
"""Variables that a shell uses itself: a script cannot set them, or is not the same afterwards."""

ASSIGNED = re.compile(r"(?<![\w$])([A-Za-z_]\w*)=|\bfor (\w+) in\b|\bread -r ((?:\w+ ?)+)")
"""Finds the names of variables that shell text assigns."""

VARIABLE_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")


class RunCommand(Protocol):
    """Runs a command in an environment; all that this room needs of a transport."""

    def __call__(self, argv: Sequence[str], *, stdin: bytes = b"", timeout: float) -> CommandResult:
        """Run `argv` with `stdin` as its input, for at most `timeout` seconds."""
        ...


@dataclass(frozen=True, slots=True)
class DaemonSettings:
    """What a connection says about its daemon."""

    workdir: str | None = None
    opencode: str | None = None
    """Path of the program in the environment; None searches for it."""

    port: int | None = None
    """The port that the daemon must have. None: any; one that is started gets 4096 if it is free, else any."""

    env: tuple[tuple[str, str], ...] = field(default=(), repr=False)
    unset_env: tuple[str, ...] = ()
    login_path: bool = False
    """Whether the PATH of the login shell comes before the one that commands get, as for a person."""


DEFAULTS = DaemonSettings()


class Report(dict[str, list[str]]):
    """The answer of a script: keys with lists of values."""

    def all(self, key: str) -> list[str]:
        """Return all values of a key, in order."""
        return self.get(key, [])

    def first(self, key: str) -> str | None:
        """Return the first value of a key; None without one."""
        return next(iter(self.all(key)), None)


def run_script(
    run: RunCommand,
    name: str,
    *arguments: str,
    settings: DaemonSettings = DEFAULTS,
    password: str = "",
    timeout: float,
    mark: str | None = None,
    then: str = "",
) -> Report:
    """Run a script, with the variables of the settings, and return its report.

    `then` is a file whose text follows that of the script. `mark` is a `new_mark`, for a `run` that needs to know it.

    Secrets do not belong in its arguments, but in its input: `password`, and the values of variables.
    Raises UsageError for invalid variables, ConnectionLostError if the report is missing or incomplete, and what `run`
    raises.
    """
    mark = mark or new_mark()
    stdin = script_input(mark, env=settings.env, unset=settings.unset_env, password=password)
    return parse_report(
        run(script_argv(name, *arguments, then=then), stdin=stdin, timeout=timeout), name, mark
    )


def new_mark() -> str:
    """Return a word that begins the lines of one report, and that no other program can know."""
    return f"ocattach-{secrets.token_hex(8)}"


def script_argv(name: str, *arguments: str, then: str = "") -> list[str]:
    """Return the command that runs a script, and the text of the file `then` after it."""
    folder = Path(__file__).parent
    parts = (*COMMON, *NEEDED.get(name, ()), f"{name}.sh", *filter(None, [then]))
    text = "".join((folder / part).read_text() for part in parts)
    return ["sh", "-c", f"{text}say end 1\n", "ocattach", *arguments]


def script_input(
    mark: str, *, env: Iterable[tuple[str, str]] = (), unset: Iterable[str] = (), password: str = ""
) -> bytes:
    """Return the input for `read_input` of environment.sh. Raises UsageError for invalid variables."""
    lines = [f"mark {mark}"]
    now = [(name, value) for name, value in env if is_plain(name)]
    lines += [f"unset {name}" for name in unset if is_plain(name)]
    lines += ["export " + f"{name}={value}".replace("\n", "\nline ") for name, value in now]
    for name in [*unset, *(name for name, _ in env)]:
        if not VARIABLE_NAME.fullmatch(name):
            raise UsageError(f"{name!r} is not a valid name of an environment variable")
    for name, value in env:
        if "\0" in value:
            raise UsageError(f"The value of {name} contains a zero byte, which a variable cannot hold")
    later = [f"unset {name}" for name in unset if not is_plain(name) and name not in SHELLS_OWN]
    later += [
        f"export {name}={shlex.quote(value)}"
        for name, value in env
        if not is_plain(name) and name not in SHELLS_OWN
    ]
    own = shlex.join(f"{name}={value}" for name, value in env if name in SHELLS_OWN)
    lines += [f"later {line}" for line in "\n".join(later).split("\n") if later]
    lines += [f"own {line}" for line in own.split("\n") if own]
    if password:
        lines.append(f"password {password}")
    return "".join(f"{line}\n" for line in [*lines, "end"]).encode()


def is_plain(name: str) -> bool:
    """Whether a script can have a variable: not where one of its own has that name, or a shell's."""
    return name not in SHELLS_OWN and (name == name.upper() or name not in scripts_own())


@cache
def scripts_own() -> frozenset[str]:
    """Return the names that scripts of this room assign; those in capitals, such as HOME, belong to the environment."""
    texts = [path.read_text() for path in Path(__file__).parent.glob("*.sh")]
    return frozenset(
        name for text in texts for found in ASSIGNED.findall(text) for name in " ".join(found).split()
    )


def parse_report(result: CommandResult, script: str, mark: str) -> Report:
    """Parse the output of a script. Lines without its mark, which other programs printed, are ignored.

    Lines end at a line feed and nowhere else: a value may have other line separators. A last line without one is
    incomplete. Raises ConnectionLostError unless the report has an end or an error: where no process can be started,
    a shell exits in the middle.
    """
    values = Report()
    prefix = f"{mark} ".encode()
    for line in result.stdout[:MAX_ANSWER].split(b"\n")[:-1]:
        if line.startswith(prefix) and b"=" in line:
            key, _, value = line.removeprefix(prefix).decode(errors="replace").partition("=")
            values.setdefault(key, []).append(value.replace("\0", "\N{REPLACEMENT CHARACTER}"))
    if script not in values or values.keys().isdisjoint({"end", "error"}):
        output = (result.stderr or result.stdout)[-500:].decode(errors="replace").strip()
        raise ConnectionLostError(
            f"The {script} script did not {'finish' if script in values else 'run'} in the environment"
            f" (exit code {result.exit_code}){f': {output}' if output else ''}",
            hint=SHOW_LIMITS if NO_PROCESS.search(output) or str(result.exit_code) in LIMITS else "",
        )
    return values
