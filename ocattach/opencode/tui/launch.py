"""Starts the TUI on this machine, in place of this process."""

import json
import os
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
from ocattach.programs import which

if TYPE_CHECKING:
    import subprocess

LOOPBACK = ("127.0.0.1", "localhost")
FOLDERS = ("~/.opencode/bin", "~/.local/bin", "~/.bun/bin")
"""Where the installers of OpenCode put it; the PATH of open shells lacks these."""

NO_TITLE = "OPENCODE_DISABLE_TERMINAL_TITLE"
VERSION_SECONDS = 5
PACKAGE_LIMIT = 64 * 1024


def find_client(environ: Mapping[str, str]) -> str:
    """Return the path of the opencode program here. Raises OpencodeNotFoundError with the places that were searched."""
    folders = [str(Path(folder).expanduser()) for folder in FOLDERS]
    found = which("opencode", os.pathsep.join([environ.get("PATH", os.defpath), *folders]))
    if not found:
        raise OpencodeNotFoundError(
            f"No opencode on this machine to show the TUI; searched PATH and {', '.join(FOLDERS)}",
            hint="Install it (npm install -g opencode-ai), or use --print-url",
        )
    return found


def packaged_version(program: Path) -> str | None:
    """Return the version of the npm package that contains the program; None if there is none.

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
    """Start the program to get its version, which takes most of a second; see `told_version`.

    It does not run in the working directory, whose node_modules opencode loads (`esprima`, 1.18.33).
    """
    import subprocess  # noqa: PLC0415 - only if the version is not known otherwise

    return subprocess.Popen(
        version_argv(program),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
        cwd="/",
    )


def told_version(asked: "subprocess.Popen[bytes]") -> str | None:
    """Return the version that the program printed; None if it did not."""
    from subprocess import TimeoutExpired  # noqa: PLC0415

    with asked:
        try:
            answer, _ = asked.communicate(timeout=VERSION_SECONDS)
        except TimeoutExpired:
            asked.kill()
            return None
    return printed_version(answer)


def unresolved(workdir: str) -> str:
    """Return the directory in a form that does not exist here.

    `opencode attach --dir D` enters D if it exists here, and sends its real path (1.18.33), which is wrong for an
    environment with another layout. A directory that does not exist here is sent unchanged.
    """
    return f"/.nope/..{workdir}"


def shows_title(environ: Mapping[str, str]) -> bool:
    """Return whether the user lets OpenCode set the title of the terminal."""
    return environ.get(NO_TITLE, "").lower() not in {"1", "true"}


def tui_environ(
    environ: Mapping[str, str], version: str, *, username: str, password: str, ca_file: str | None = None
) -> dict[str, str]:
    """Return the environment of the TUI: with credentials, and without a proxy for the loopback.

    With HTTP_PROXY and no exception for it, opencode requests http://127.0.0.1 from the proxy (1.18.33). It trusts the
    CAs of the system and those of NODE_EXTRA_CA_CERTS; it connects to nothing but the daemon. It keeps the title that
    the terminal has, which names the environment, and clears it when it ends (1.18.33).
    """
    changed = {name: value for name, value in environ.items() if name not in CREDENTIALS}
    if shows_title(environ):
        changed[NO_TITLE] = "1"
    for name in ("NO_PROXY", "no_proxy"):
        hosts = [host for host in environ.get(name, "").split(",") if host]
        changed[name] = ",".join([*hosts, *(host for host in LOOPBACK if host not in hosts)])
    if ca_file:
        changed["NODE_EXTRA_CA_CERTS"] = str(Path(ca_file).expanduser())
    return {**changed, **credentials(version, username=username, password=password)}
