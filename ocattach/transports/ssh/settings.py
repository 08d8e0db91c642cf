"""What `ssh HOST` would do, asked of OpenSSH itself, so that Include, Match and the rest are what the user knows."""

import getpass
import glob
import os
import pwd
import re
import shutil
import socket
import subprocess
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from ocattach.config.targets.ssh import SSHTarget
from ocattach.errors import ConfigurationError, TimedOutError
from ocattach.printable import command_line

Settings = Mapping[str, list[str]]
"""Every setting by its lower-case name, as `ssh -G` prints them: one that may be repeated has several values."""

ANSWER_SECONDS = 10
INCLUDE_DEPTH = 16
"""As OpenSSH has it (readconf.c, READCONF_MAX_DEPTH)."""

KNOWN_HOSTS = ("known_hosts", "known_hosts2")
GLOBAL_KNOWN_HOSTS = "/etc/ssh/ssh_known_hosts /etc/ssh/ssh_known_hosts2"
IDENTITY_FILES = ("id_rsa", "id_ecdsa", "id_ed25519")
SYSTEM_CONFIG = Path("/etc/ssh/ssh_config")


def read_settings(target: SSHTarget) -> Settings:
    """The user's and the system's ssh configuration for a target.

    Raises ConfigurationError with the reader's own words when the configuration is broken.
    """
    return openssh_settings(target) if shutil.which("ssh") else paramiko_settings(target)


def openssh_settings(target: SSHTarget) -> Settings:
    """Every setting that `ssh -G` prints."""
    argv = ["ssh", "-G"]
    argv += ["-l", target.user] if target.user else []
    argv += ["-p", str(target.port)] if target.port else []
    argv += ["-J", target.jump] if target.jump else []
    argv += ["--", target.host]
    try:
        answer = subprocess.run(
            argv,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            errors="replace",
            timeout=ANSWER_SECONDS,
            check=False,
        )
    except subprocess.TimeoutExpired as error:
        raise TimedOutError(
            f"{command_line('ssh', '-G', target.host)} did not answer in {ANSWER_SECONDS} s",
            hint=f"Try: {command_line('ssh', '-G', target.host)}",
        ) from error
    if answer.returncode:
        raise ConfigurationError(
            f"OpenSSH cannot read its configuration: {answer.stderr.strip()}",
            hint=f"Try: {command_line('ssh', '-G', target.host)}",
        )
    settings: dict[str, list[str]] = {}
    for line in answer.stdout.splitlines():
        key, _, value = line.partition(" ")
        settings.setdefault(key, []).append(value)
    return settings


def paramiko_settings(target: SSHTarget) -> Settings:
    """The same files as paramiko reads them, for machines without OpenSSH; Match exec is refused."""
    import paramiko  # noqa: PLC0415

    home = Path("~/.ssh/config").expanduser()
    # The user's file first, since the first value of a setting is the one that counts.
    text = "\n".join(
        line for file in (home, SYSTEM_CONFIG) for line in ("Host *", *included_lines(file, home.parent, 0))
    )
    try:
        found = paramiko.SSHConfig.from_text(text).lookup(target.host)
    except (paramiko.ConfigParseError, paramiko.CouldNotCanonicalize, ImportError, OSError) as error:
        raise ConfigurationError(
            f"The ssh configuration cannot be read without OpenSSH: {error}",
            hint="Install OpenSSH's client here",
        ) from error
    settings: dict[str, list[str]] = {}
    for key, value in dict[str, Any](found).items():
        settings[key] = [str(each) for each in value] if isinstance(value, list) else [str(value)]
    settings.setdefault("userknownhostsfile", [" ".join(str(home.parent / name) for name in KNOWN_HOSTS)])
    settings.setdefault("globalknownhostsfile", [GLOBAL_KNOWN_HOSTS])
    settings.setdefault("identityfile", [str(home.parent / name) for name in IDENTITY_FILES])
    if target.jump:
        settings["proxyjump"] = [target.jump]
        settings.pop("proxycommand", None)
    return settings


def included_lines(file: Path, folder: Path, depth: int) -> Iterator[str]:
    """A configuration file's lines, those of the files it includes in their places."""
    if depth > INCLUDE_DEPTH:
        raise ConfigurationError(f"{file}: too many levels of Include")
    if not file.is_file():
        return
    for line in file.read_text(errors="replace").splitlines():
        include = re.match(r"\s*include[\s=]+(.+)", line, re.IGNORECASE)
        if not include:
            yield line
            continue
        base = folder if depth or file.parent == folder else file.parent
        for pattern in include[1].split():
            for path in sorted(glob.glob(str(base / Path(pattern.strip('"')).expanduser()))):  # noqa: PTH207 - absolute
                yield from included_lines(Path(path), base, depth + 1)


def first(settings: Settings, key: str) -> str | None:
    """A setting that stands once; None where it is not set, or set to none."""
    values = settings.get(key)
    return values[0] if values and values[0].lower() != "none" else None


def is_on(settings: Settings, key: str, *, default: bool) -> bool:
    """A setting that is yes or no; `ssh -G` writes some of them as true and false."""
    value = first(settings, key)
    return default if value is None else value.lower() in {"yes", "true"}


def words(settings: Settings, key: str) -> list[str]:
    """The file names of a setting that takes several.

    `ssh -G` prints them without their quotes: what does not begin as a path does belongs to the name before it.
    """
    names: list[str] = []
    for word in (first(settings, key) or "").split():
        if names and not word.startswith(("/", "~", "$", "%")):
            names[-1] += f" {word}"
        else:
            names.append(word)
    return [name for name in names if name.lower() != "none"]


def tokens(*, alias: str, hostname: str, port: int, user: str, key_name: str) -> dict[str, str]:
    """What the percent tokens of ssh_config(5) stand for."""
    account = pwd.getpwuid(os.getuid())
    local = socket.gethostname()
    return {
        "%%": "%",
        "%d": account.pw_dir,
        "%h": hostname,
        "%i": str(os.getuid()),
        "%k": key_name,
        "%L": local.partition(".")[0],
        "%l": local,
        "%n": alias,
        "%p": str(port),
        "%r": user,
        "%u": getpass.getuser(),
    }


def expand(text: str, meanings: Mapping[str, str]) -> str:
    """A value with its percent tokens written out; those that nobody knows stay."""
    return re.sub("%.", lambda token: meanings.get(token[0], token[0]), text)


def expand_path(text: str, meanings: Mapping[str, str]) -> Path:
    """A file that a setting names, as OpenSSH finds it: with `~`, percent tokens and ${VARIABLE}.

    Raises ConfigurationError for a variable that is not set.
    """

    def variable(found: re.Match[str]) -> str:
        value = os.environ.get(found[1])
        if value is None:
            raise ConfigurationError(
                f"The ssh configuration names the file {text}, and the variable {found[1]} is not set"
            )
        return value

    path = re.sub(r"\$\{(\w+)\}", variable, expand(text, meanings))
    if path.startswith("~/"):
        path = meanings["%d"] + path[1:]  # by the account, as OpenSSH does, whatever $HOME says
    return Path(path).expanduser()
