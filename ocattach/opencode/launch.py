"""The TUI on this machine: `opencode attach`, which takes this process's place."""

import os
import shutil
from collections.abc import Mapping, Sequence
from pathlib import Path

from ocattach.errors import OpencodeNotFoundError

LOOPBACK = ("127.0.0.1", "localhost")
FOLDERS = ("~/.opencode/bin", "~/.local/bin", "~/.bun/bin")
"""Where OpenCode's installers put it without changing the PATH of shells that are already open."""


def find_client(environ: Mapping[str, str]) -> str:
    """Path of the opencode program here. Raises OpencodeNotFoundError with the places that were looked at."""
    folders = [str(Path(folder).expanduser()) for folder in FOLDERS]
    found = shutil.which("opencode", path=os.pathsep.join([environ.get("PATH", os.defpath), *folders]))
    if not found:
        raise OpencodeNotFoundError(
            f"There is no opencode on this machine to show the TUI; looked for it on PATH and in {', '.join(FOLDERS)}",
            hint="Install it (npm install -g opencode-ai), or use --print-url",
        )
    return found


def attach_argv(
    client: str, url: str, *, workdir: str | None, shares_files: bool, options: Sequence[str] = ()
) -> list[str]:
    """The command that shows the TUI. The password is not in it: see `attach_environ`."""
    argv = [client, "attach", url]
    if workdir:
        argv += ["--dir", workdir if shares_files else unresolved(workdir)]
    return [*argv, *options]


def unresolved(workdir: str) -> str:
    """The directory, written so that the client cannot find it on its own disk.

    `opencode attach --dir D` enters D where the client has it too, and sends its real path from there (1.18.33):
    wrong for an environment with another layout. What the client does not find it sends as it is.
    """
    return f"/.nope/..{workdir}"


def attach_environ(environ: Mapping[str, str], *, username: str, password: str) -> dict[str, str]:
    """The TUI's environment: the credentials, and no proxy between it and this machine's loopback.

    With HTTP_PROXY set and no exception for it, opencode asks the proxy for http://127.0.0.1 (1.18.33).
    """
    changed = dict(environ)
    for name in ("NO_PROXY", "no_proxy"):
        hosts = [host for host in environ.get(name, "").split(",") if host]
        changed[name] = ",".join([*hosts, *(host for host in LOOPBACK if host not in hosts)])
    for name in ("OPENCODE_SERVER_USERNAME", "OPENCODE_SERVER_PASSWORD"):
        changed.pop(name, None)
    if password:
        changed["OPENCODE_SERVER_PASSWORD"] = password
        changed["OPENCODE_SERVER_USERNAME"] = username
    return changed
