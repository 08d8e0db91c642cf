"""The TUI on this machine: the program that shows it, and its environment. It takes this process's place."""

import json
import os
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from ocattach.errors import OpencodeNotFoundError
from ocattach.opencode.versions import (
    CREDENTIALS,
    answered_version,
    credentials,
    printed_version,
    version_argv,
)

if TYPE_CHECKING:
    import subprocess

LOOPBACK = ("127.0.0.1", "localhost")
FOLDERS = ("~/.opencode/bin", "~/.local/bin", "~/.bun/bin")
"""Where OpenCode's installers put it without changing the PATH of shells that are already open."""

VERSION_SECONDS = 5
PACKAGE_LIMIT = 64 * 1024


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


def packaged_version(program: Path) -> str | None:
    """The version by the npm package that the program lies in, which costs nothing; None when it is in none.

    `program` is a real path, such as …/node_modules/opencode-ai/bin/opencode.exe.
    """
    try:
        with (program.parent.parent / "package.json").open("rb") as file:
            package = json.loads(file.read(PACKAGE_LIMIT))
    except (OSError, ValueError):
        return None
    if not isinstance(package, dict) or not str(package.get("name")).startswith("opencode-"):
        return None
    return answered_version(package)


def ask_version(program: str) -> "subprocess.Popen[bytes]":
    """Begin to ask the program itself, which takes it most of a second; see `told_version`."""
    import subprocess  # noqa: PLC0415 - only for programs whose version nothing else tells

    return subprocess.Popen(
        version_argv(program),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
    )


def told_version(asked: "subprocess.Popen[bytes]") -> str | None:
    """What the program answered; None when that is no version, or does not come."""
    from subprocess import TimeoutExpired  # noqa: PLC0415

    with asked:
        try:
            answer, _ = asked.communicate(timeout=VERSION_SECONDS)
        except TimeoutExpired:
            asked.kill()
            return None
    return printed_version(answer)


def unresolved(workdir: str) -> str:
    """The directory, written so that the client cannot find it on its own disk.

    `opencode attach --dir D` enters D where the client has it too, and sends its real path from there (1.18.33):
    wrong for an environment with another layout. What the client does not find it sends as it is.
    """
    return f"/.nope/..{workdir}"


def tui_environ(
    environ: Mapping[str, str], version: str, *, username: str, password: str, ca_file: str | None = None
) -> dict[str, str]:
    """The TUI's environment: the credentials, and no proxy between it and this machine's loopback.

    With HTTP_PROXY set and no exception for it, opencode asks the proxy for http://127.0.0.1 (1.18.33).
    It trusts the system's CAs, and those of NODE_EXTRA_CA_CERTS; it connects to nothing but the daemon.
    """
    changed = {name: value for name, value in environ.items() if name not in CREDENTIALS}
    for name in ("NO_PROXY", "no_proxy"):
        hosts = [host for host in environ.get(name, "").split(",") if host]
        changed[name] = ",".join([*hosts, *(host for host in LOOPBACK if host not in hosts)])
    if ca_file:
        changed["NODE_EXTRA_CA_CERTS"] = str(Path(ca_file).expanduser())
    return {**changed, **credentials(version, username=username, password=password)}
