"""What `ssh HOST` would do, as `ssh -G` prints it, and the command lines with which it is run."""

import subprocess
from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from ocattach.config.targets.ssh import SSHTarget
from ocattach.config.targets.uri_text import split_authority
from ocattach.errors import ConfigurationError, TimedOutError
from ocattach.printable import command_line

ANSWER_SECONDS = 10
"""Seconds for `ssh -G`, which runs the commands of `Match exec`."""

MAX_JUMPS = 16
STANDARD_PORT = "22"
REVOKED = "@revoked"

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

OVER_USERS_MASTER = ["-o", "BatchMode=yes"]
"""The options for a command over the user's own master. If that has ended, ssh connects, without questions."""


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

    @property
    def is_quiet(self) -> bool:
        """Whether the user hides why ssh fails (QUIET is printed as SILENT); errors need it all the same."""
        return self["loglevel"].lower() in {"silent", "fatal", "error"}


def read_settings(target: SSHTarget) -> Settings:
    """Run `ssh -G`. Raises ConfigurationError with ssh's own words if the configuration is broken."""
    # With -N, since ssh refuses ForkAfterAuthentication without a command.
    argv = ["ssh", "-G", "-N", *host_options(target), "--", target.host]
    hint = f"Try: {command_line(*argv)}"
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
        raise TimedOutError(f"{command_line(*argv)} did not end in {ANSWER_SECONDS} s", hint=hint) from error
    if answer.returncode:
        raise ConfigurationError(f"OpenSSH cannot read its configuration: {answer.stderr.strip()}", hint=hint)
    lines = [line for line in answer.stdout.splitlines() if not line.startswith("host ")]
    pairs = [line.split(" ", 1) for line in reversed(lines) if " " in line]
    return Settings(dict(pairs), "\n".join(lines))


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
        user, host, port = split_authority(first.removeprefix("ssh://").replace("%", "%25"))
        settings = read_settings(SSHTarget(host, user, port))
        hops[settings.hostname] = first
    return hops


def host_options(target: SSHTarget, *, jumps: bool = True) -> list[str]:
    """Return the options of ssh for what the connection itself defines."""
    options = ["-l", target.user] if target.user else []
    options += ["-p", str(target.port)] if target.port else []
    options += ["-J", target.jump] if target.jump and jumps else []
    if target.identity_file:
        options += ["-i", str(Path(target.identity_file).expanduser()), "-o", "IdentitiesOnly=yes"]
    return options


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
    if settings.is_quiet:
        argv += ["-o", "LogLevel=INFO"]
    if not checks_host_key:
        argv += NO_KNOWN_HOSTS
    elif settings["stricthostkeychecking"].lower() in {"no", "off", "false"}:
        # New keys are still accepted, but not a changed one.
        argv += ["-o", "StrictHostKeyChecking=accept-new"]
    if added is not None and checks_host_key:
        argv += files_option("UserKnownHostsFile", added, *settings.files("userknownhostsfile"))
        argv += ["-o", "UpdateHostKeys=no"]
    if revoked is not None:
        argv += files_option("GlobalKnownHostsFile", *settings.files("globalknownhostsfile"), revoked)
    return [*argv, *host_options(target), "--", target.host]


def files_option(key: str, *files: Path) -> list[str]:
    """Return the option for a setting that names several files."""
    quoted = (f'"{file}"' for file in files)
    return ["-o", f"{key}={' '.join(quoted)}"]


def command_argv(
    target: SSHTarget, settings: Settings, control: Sequence[str], command: str, *, terminal: bool = False
) -> list[str]:
    """Return the command that runs a command line over a master."""
    session = ("-t", *WITHOUT_FORWARDING) if terminal else COMMAND_ONLY
    known = DEFAULT_SESSION if "sessiontype" in settings.values else ()
    options = ["-o", "ControlMaster=no", "-o", "LogLevel=ERROR", *session, *known]
    # Jump hosts are the master's affair, and ssh refuses -J beside a ProxyCommand.
    return ["ssh", *control, *options, *host_options(target, jumps=False), "--", target.host, command]


def over_master(control_path: str) -> list[str]:
    """Return the options for a command over our own master, which fails if that has ended."""
    return ["-S", control_path, "-o", "ProxyCommand=false"]


def write_revoked_keys(settings: Settings, file: Path) -> bool:
    """Write a known_hosts file with the keys that are revoked for the host. Returns whether there are any.

    Those for its standard port, which ssh accepts at another one (sshconnect.c), are revoked for its own port.
    """
    host, port = settings.hostname, settings["port"]
    if port == STANDARD_PORT or settings["hostkeyalias"]:
        return False
    known_hosts = settings.files("userknownhostsfile") + settings.files("globalknownhostsfile")
    keys = [line.split(maxsplit=2)[2] for known in known_hosts for line in revoked_lines(known, host)]
    if keys:
        file.write_text("".join(f"{REVOKED} [{host}]:{port} {key}\n" for key in keys))
    return bool(keys)


def revoked_lines(file: Path, host: str) -> Iterator[str]:
    """Yield the lines of a known_hosts file that revoke a key for a host."""
    with suppress(OSError, subprocess.TimeoutExpired):
        if REVOKED.encode() in file.read_bytes():
            argv = ["ssh-keygen", "-F", host, "-f", str(file)]
            found = subprocess.run(argv, capture_output=True, timeout=ANSWER_SECONDS, check=False)
            lines = found.stdout.decode(errors="replace").splitlines()
            yield from (line for line in lines if line.startswith(f"{REVOKED} "))
