"""Commands in the foreground, which use this process's terminal or pipes, as those of `docker exec` and `ssh` do."""

import os
import shlex
from collections.abc import Callable, Mapping, Sequence
from typing import NamedTuple

from ocattach.daemon import DaemonSettings
from ocattach.daemon.script import RunCommand
from ocattach.errors import OcattachError, WorkdirNotFoundError
from ocattach.execution import Stream

ENTER = r"""
umask 077
case $1 in "~" | "~/"*) directory=$HOME${1#"~"} ;; *) directory=$1 ;; esac
if [ -n "$directory" ]; then
    cd "$directory" || exit 3
elif [ -n "$2" ]; then
    cd "$2" 2>/dev/null
fi
directory=$PWD
cd / # PATH may have a relative entry, and the directory the files of a repository
listed=$(sed -n "s/^[^:]*:[^:]*:$(id -u):.*:\([^:]*\)$/\1/p" /etc/passwd 2>/dev/null | sed -n 1p)
for shell in "$SHELL" "$listed" bash sh; do
    case ${shell##*/} in "" | false | nologin) continue ;; esac
    shell=$(command -v "$shell") && break
done
file=
if [ -n "$3" ]; then
    for folder in "${TMPDIR:-/tmp}" /dev/shm "$HOME"; do
        file=$(mktemp "$folder/.ocattach.XXXXXXXX" 2>/dev/null) && break
    done
    cat >"$file" || exit 4
fi
printf '%s\0' "$directory" "$shell" "$file"
"""
"""Reports where a command would run, the account's shell, and a private file with its input.

Arguments: the connection's working directory or "", the default one or "", and "variables" if there is input.
"""

CANNOT_ENTER, CANNOT_WRITE = 3, 4
"""Exit codes of ENTER."""

ENTER_SECONDS = 20


class LocalProgram(NamedTuple):
    """A program of this machine that carries a command's input, output and signals: run it in the foreground."""

    argv: tuple[str, ...]

    signalled: int | None = None
    """The exit code by which it reports any signal that it has received; None if such a signal ends it."""


class AttachedCommand(NamedTuple):
    """A running command whose input and output are carried by a stream. The caller closes that."""

    stream: Stream

    split: Callable[[bytes], tuple[bytes, bytes]]
    """Returns the stdout and the stderr in bytes just read from the stream's socket. Called instead of `decode`."""

    resize: Callable[[os.terminal_size], None]
    """Sets the size of the command's terminal."""

    exit_code: Callable[[], int]
    """Returns the command's exit code once the stream has ended. Raises ConnectionLostError or TimedOutError."""


def terminal_output(data: bytes) -> tuple[bytes, bytes]:
    """Return the output of a command on a terminal, where stdout and stderr are one (an `AttachedCommand.split`)."""
    return data, b""


ForegroundCommand = LocalProgram | AttachedCommand


class Entered(NamedTuple):
    """What ENTER reports."""

    workdir: str
    shell: str
    file: str
    """A private file with the variables; empty without any."""


def enter(
    run: RunCommand, settings: DaemonSettings, default: str | None, *, where: str, timeout: float
) -> Entered:
    """Run ENTER. Raises WorkdirNotFoundError if the working directory cannot be entered, and what `run` raises.

    Variables are handed over by a file, since other accounts can read arguments, and a terminal would show input.
    """
    exports = "".join(f"{shlex.join(['export', f'{name}={value}'])}\n" for name, value in settings.env)
    words = (settings.workdir or "", default or "", "variables" if exports else "")
    argv = ["sh", "-c", ENTER, "ocattach", *words]
    result = run(argv, stdin=exports.encode(errors="surrogateescape"), timeout=min(ENTER_SECONDS, timeout))
    if result.exit_code == CANNOT_ENTER:
        raise WorkdirNotFoundError(
            f"Directory {settings.workdir} does not exist {where}, or cannot be entered",
            hint="Create it, or name another with --workdir",
        )
    fields = result.stdout.decode(errors="surrogateescape").split("\0")
    if result.exit_code or len(fields) != len(Entered._fields) + 1:
        wrong = result.stderr.decode(errors="replace").strip().splitlines()[-1:]
        raise OcattachError(
            f"Cannot prepare a command {where}: {''.join(wrong) or f'exit code {result.exit_code}'}",
            hint="Variables of a connection (env) need a folder there that can be written to, such as /tmp"
            if result.exit_code == CANNOT_WRITE
            else "",
        )
    return Entered(*fields[:-1])


def foreground_argv(
    command: Sequence[str],
    entered: Entered,
    *,
    set_variables: Mapping[str, str],
    unset: Sequence[str],
    size: os.terminal_size | None,
) -> list[str]:
    """Return the command that runs another in its directory, with its variables, on a terminal of this size."""
    steps = ["cd /", *(shlex.join(["unset", name]) for name in unset)]  # as ENTER does
    if entered.file:
        read, remove = shlex.join(["cat", entered.file]), shlex.join(["rm", "-f", entered.file])
        steps.append(f'eval "$({read}; {remove})"')
    steps += [shlex.join(["export", f"{name}={value}"]) for name, value in set_variables.items()]
    if size is not None:
        # Engines can set the size only once the command runs, which may read it before.
        steps.append(f"stty rows {size.lines} cols {size.columns} 2>/dev/null")
    steps.append(f"cd {shlex.quote(entered.workdir)} || exit")
    return ["sh", "-c", "; ".join([*steps, f"exec {shlex.join(command)}"])]
