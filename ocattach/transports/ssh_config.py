"""What `ssh HOST` would do, asked of OpenSSH itself, so that Include, Match and the rest are what the user knows."""

import getpass
import os
import shutil
import subprocess
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ocattach.config.targets.ssh import SSHTarget
from ocattach.errors import ConfigurationError, TimedOutError, UnreachableError

ANSWER_SECONDS = 10
DEFAULT_PORT = 22


@dataclass(frozen=True, slots=True)
class HostConfig:
    """How one host is reached and recognised."""

    alias: str
    """The host as the user wrote it."""

    hostname: str
    user: str
    port: int
    identity_files: tuple[Path, ...]
    known_hosts_files: tuple[Path, ...]
    """The user's first: a newly accepted key is added to the first of them."""

    use_agent: bool
    host_key_name: str
    """The name under which known_hosts has the key."""

    strict: str
    """StrictHostKeyChecking as the user set it: "ask", "yes", "accept-new" or "off"."""

    jumps: tuple[str, ...] = ()
    """Hosts to go through, nearest first."""


def host_config(target: SSHTarget) -> HostConfig:
    """The configuration for a target; what the target itself says comes first.

    Raises ConfigurationError with OpenSSH's own words when its configuration is broken.
    """
    settings = openssh_settings(target) if shutil.which("ssh") else paramiko_settings(target)
    hostname = first(settings, "hostname") or target.host
    port = target.port or int(first(settings, "port") or DEFAULT_PORT)
    name = first(settings, "hostkeyalias") or hostname
    jump = target.jump or first(settings, "proxyjump")
    return HostConfig(
        alias=target.host,
        hostname=hostname,
        user=target.user or first(settings, "user") or getpass.getuser(),
        port=port,
        identity_files=identity_files(target, settings),
        known_hosts_files=paths(settings, "userknownhostsfile") + paths(settings, "globalknownhostsfile"),
        use_agent=first(settings, "identityagent") != "none" and first(settings, "identitiesonly") != "yes",
        host_key_name=name if port == DEFAULT_PORT else f"[{name}]:{port}",
        strict=first(settings, "stricthostkeychecking") or "ask",
        jumps=tuple(jump.split(",")) if jump and jump != "none" else (),
    )


def openssh_settings(target: SSHTarget) -> Mapping[str, list[str]]:
    """Every setting that `ssh -G` prints, by its lower-case name."""
    argv = ["ssh", "-G"]
    argv += ["-l", target.user] if target.user else []
    argv += ["-p", str(target.port)] if target.port else []
    argv += ["--", target.host]
    try:
        answer = subprocess.run(
            argv,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=ANSWER_SECONDS,
            check=False,
        )
    except subprocess.TimeoutExpired as error:
        raise TimedOutError(f"ssh -G {target.host} did not answer in {ANSWER_SECONDS} s") from error
    if answer.returncode:
        raise ConfigurationError(f"OpenSSH cannot read its configuration: {answer.stderr.strip()}")
    settings: dict[str, list[str]] = {}
    for line in answer.stdout.splitlines():
        key, _, value = line.partition(" ")
        settings.setdefault(key, []).append(value)
    return settings


def paramiko_settings(target: SSHTarget) -> Mapping[str, list[str]]:
    """The user's ~/.ssh/config as paramiko reads it, for machines without OpenSSH."""
    import paramiko  # noqa: PLC0415

    file = Path("~/.ssh/config").expanduser()
    found = paramiko.SSHConfig.from_path(str(file)).lookup(target.host) if file.is_file() else {}
    settings: dict[str, list[str]] = {}
    for key, value in dict[str, Any](found).items():
        settings[key] = value if isinstance(value, list) else [value]
    settings.setdefault("userknownhostsfile", ["~/.ssh/known_hosts"])
    settings.setdefault("identityfile", ["~/.ssh/id_ed25519", "~/.ssh/id_ecdsa", "~/.ssh/id_rsa"])
    return settings


def first(settings: Mapping[str, list[str]], key: str) -> str | None:
    """A setting that stands once."""
    values = settings.get(key)
    return values[0] if values else None


def paths(settings: Mapping[str, list[str]], key: str) -> tuple[Path, ...]:
    """The files that a setting names, several on one line."""
    line = first(settings, key) or ""
    return tuple(Path(name).expanduser() for name in line.split() if name != "none")


def identity_files(target: SSHTarget, settings: Mapping[str, list[str]]) -> tuple[Path, ...]:
    """The key files that exist, in the order in which they are tried."""
    if target.identity_file:
        file = Path(target.identity_file).expanduser()
        if not file.is_file():
            raise UnreachableError(
                f"The identity file {file} does not exist", hint="Name another with --identity"
            )
        return (file,)
    named = [Path(os.path.expanduser(name)) for name in settings.get("identityfile", [])]  # noqa: PTH111 - ~user too
    return tuple(file for file in named if file.is_file())
