"""What `ssh HOST` would do, as `ssh -G` prints it, and the command lines with which it is run."""

import subprocess
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from ocattach.config.targets.ssh import SSHTarget
from ocattach.errors import ConfigurationError, TimedOutError
from ocattach.printable import command_line

ANSWER_SECONDS = 10
"""Seconds for `ssh -G`, which runs the commands of `Match exec`."""

MAX_JUMPS = 16
QUIET = ("silent", "fatal", "error")
"""Values of LogLevel at which ssh does not always say why it failed; QUIET is printed as SILENT."""

WITHOUT_FORWARDING = (
    "-a", "-x",
    "-o", "ClearAllForwardings=yes",
    "-o", "PermitLocalCommand=no",
    "-o", "RemoteCommand=none",
    "-o", "Tunnel=no",
)  # fmt: skip
"""Options for a command: settings for forwarding have no meaning for it."""

COMMAND_ONLY = ("-T", *WITHOUT_FORWARDING, "-e", "none")
"""Options for a command without a terminal."""

DEFAULT_SESSION = ("-o", "SessionType=default", "-o", "StdinNull=no", "-o", "ForkAfterAuthentication=no")
"""The same for settings that exist since OpenSSH 8.7."""


NO_KNOWN_HOSTS = (
    "-o", "StrictHostKeyChecking=no", "-o", "UserKnownHostsFile=/dev/null", "-o", "GlobalKnownHostsFile=/dev/null",
)  # fmt: skip
"""Options that accept any host key and remember none."""


@dataclass(frozen=True, slots=True)
class Settings:
    """The user's ssh configuration for a host."""

    values: dict[str, str]
    """Each setting under its lower-case name; the first value of one that can be repeated."""

    text: str
    """All settings, as `ssh -G` prints them, without the name under which the user knows the host."""

    def __getitem__(self, key: str) -> str:
        value = self.values.get(key, "")
        return "" if value.lower() == "none" else value

    def files(self, key: str) -> list[Path]:
        """The files of a setting that names several.

        `ssh -G` prints them without quotes: a word that does not begin like a path belongs to the one before.
        """
        names: list[str] = []
        for word in self[key].split():
            if names and not word.startswith(("/", "~")):
                names[-1] += f" {word}"
            else:
                names.append(word)
        return [Path(name).expanduser() for name in names]

    @property
    def hostname(self) -> str:
        """The host's name or address."""
        return self["hostname"]


def read_settings(target: SSHTarget) -> Settings:
    """Run `ssh -G`. Raises ConfigurationError with ssh's own words if the configuration is broken."""
    # With -N, since ssh refuses ForkAfterAuthentication without a command.
    argv = ["ssh", "-G", "-N", *host_options(target), "--", target.host]
    try:
        answer = subprocess.run(
            argv,
            cwd="/",
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            errors="replace",
            timeout=ANSWER_SECONDS,
            check=False,
        )
    except subprocess.TimeoutExpired as error:
        raise TimedOutError(
            f"{command_line(*argv)} did not end in {ANSWER_SECONDS} s",
            hint=f"Try: {command_line(*argv)}",
        ) from error
    if answer.returncode:
        raise ConfigurationError(
            f"OpenSSH cannot read its configuration: {answer.stderr.strip()}",
            hint=f"Try: {command_line(*argv)}",
        )
    lines = [line for line in answer.stdout.splitlines() if not line.startswith("host ")]
    values: dict[str, str] = {}
    for line in lines:
        key, _, value = line.partition(" ")
        values.setdefault(key, value)
    return Settings(values, "\n".join(lines))


def quoted(files: Sequence[Path]) -> str:
    """Return a setting's value that names several files."""
    return " ".join(f'"{file}"' for file in files)


def jump_hosts(settings: Settings) -> dict[str, str]:
    """Return the jump hosts whose configuration counts, by their names or addresses.

    Several of one setting are taken in their order, but the first is reached as its own configuration says. Raises
    ConfigurationError for a circle, which ssh follows until the system has no more processes.
    """
    hops: dict[str, str] = {}
    while settings["proxyjump"]:
        first = settings["proxyjump"].split(",")[0]
        if first in hops.values() or len(hops) >= MAX_JUMPS:
            raise ConfigurationError(
                f"{first}: its jump hosts form a circle, or are more than {MAX_JUMPS}",
                hint=f"Check ProxyJump: {command_line('ssh', '-G', first)}",
            )
        settings = read_settings(jump_target(first))
        hops[settings.hostname] = first
    return hops


def jump_target(text: str) -> SSHTarget:
    """Return a host of ProxyJump as a target: [USER@]HOST[:PORT], or that as a URI."""
    user, _, rest = text.removeprefix("ssh://").rpartition("@")
    host, colon, port = rest.rpartition(":")
    if not colon or not port.isdigit() or (":" in host and not host.endswith("]")):
        host, port = rest, ""
    return SSHTarget(host.strip("[]"), user or None, int(port) if port else None)


def host_options(target: SSHTarget, *, jumps: bool = True) -> list[str]:
    """Return the options of ssh for what the connection itself defines."""
    options = ["-l", target.user] if target.user else []
    options += ["-p", str(target.port)] if target.port else []
    options += ["-J", target.jump] if target.jump and jumps else []
    if target.identity_file:
        options += ["-i", str(Path(target.identity_file).expanduser()), "-o", "IdentitiesOnly=yes"]
    return options


def session_options(settings: Settings, *, terminal: bool = False) -> Sequence[str]:
    """Return the options for a command that this version of ssh knows."""
    options = ("-t", *WITHOUT_FORWARDING) if terminal else COMMAND_ONLY
    return (*options, *(DEFAULT_SESSION if "sessiontype" in settings.values else ()))


def master_argv(
    target: SSHTarget,
    settings: Settings,
    control_path: str,
    *,
    attended: bool,
    checks_host_key: bool = True,
    added: Path | None = None,
    revoked: Path | None = None,
) -> list[str]:
    """Return the command that logs in to the host and stays in the background as a master.

    `added` is the known_hosts file for new keys if the user's are only to be read; `revoked` is a further one.
    """
    # ControlPersist would hide what proxies say (sshconnect.c).
    argv = ["ssh", "-M", "-N", "-f", "-S", control_path, "-o", "ControlPersist=no", *COMMAND_ONLY]
    if not attended:
        argv += ["-o", "BatchMode=yes"]
    if is_quiet(settings):
        argv += ["-o", "LogLevel=INFO"]
    if not checks_host_key:
        argv += NO_KNOWN_HOSTS
    elif settings["stricthostkeychecking"].lower() in {"no", "off", "false"}:
        # New keys are still accepted, but not a changed one.
        argv += ["-o", "StrictHostKeyChecking=accept-new"]
    if added is not None and checks_host_key:
        files = [added, *settings.files("userknownhostsfile")]
        argv += ["-o", f"UserKnownHostsFile={quoted(files)}", "-o", "UpdateHostKeys=no"]
    if revoked is not None:
        argv += ["-o", f"GlobalKnownHostsFile={quoted([*settings.files('globalknownhostsfile'), revoked])}"]
    return [*argv, *host_options(target), "--", target.host]


def is_quiet(settings: Settings) -> bool:
    """Whether the user does not want to see what ssh prints; it is needed for errors all the same."""
    return settings["loglevel"].lower() in QUIET


def command_argv(
    target: SSHTarget, settings: Settings, control: Sequence[str], command: str, *, terminal: bool = False
) -> list[str]:
    """Return the command that runs a command line over a master."""
    session = session_options(settings, terminal=terminal)
    options = ["-o", "ControlMaster=no", "-o", "LogLevel=ERROR", *session]
    # Jump hosts are the master's affair, and ssh refuses -J beside a ProxyCommand.
    return ["ssh", *control, *options, *host_options(target, jumps=False), "--", target.host, command]


def over_master(control_path: str) -> list[str]:
    """Return the options for a command over our own master, which fails if that has ended."""
    return ["-S", control_path, "-o", "ProxyCommand=false"]


OVER_USERS_MASTER = ["-o", "BatchMode=yes"]
"""The options for a command over the user's own master. If that has ended, ssh connects, without questions."""
