"""How an ssh host is reached, identified and logged in to: the user's ssh configuration as paramiko reads it."""

import getpass
import glob
import os
import re
import shlex
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import paramiko

from ocattach.config.targets.rules import check_port
from ocattach.config.targets.ssh import SSHTarget
from ocattach.config.targets.uri_text import split_authority
from ocattach.errors import ConfigurationError
from ocattach.transports.ssh.key_file import own_key_file

INSTALL = "Install OpenSSH's client here"
"""The hint for everything that only OpenSSH does."""

MAX_JUMPS = INCLUDE_DEPTH = 16
DEFAULT_PORT = 22
KNOWN_HOSTS = "~/.ssh/known_hosts ~/.ssh/known_hosts2"
GLOBAL_KNOWN_HOSTS = "/etc/ssh/ssh_known_hosts /etc/ssh/ssh_known_hosts2"
IDENTITY_FILES = ("~/.ssh/id_rsa", "~/.ssh/id_ecdsa", "~/.ssh/id_ed25519")
LAX = {"ask", "accept-new", "off", "no"}
"""The values of StrictHostKeyChecking; any other one counts as yes."""

METHODS = {
    "publickey": "pubkeyauthentication",
    "keyboard-interactive": "kbdinteractiveauthentication",
    "password": "passwordauthentication",
}
"""The authentication methods, in OpenSSH's order, and the settings that switch them off."""

NEEDS_OPENSSH = """
    AddressFamily BindAddress BindInterface CASignatureAlgorithms CertificateFile Ciphers HostKeyAlgorithms
    KexAlgorithms KnownHostsCommand MACs PKCS11Provider PreferredAuthentications PubkeyAcceptedAlgorithms
    RequiredRSASize RevokedHostKeys VerifyHostKeyDNS
"""
"""Settings on which it depends whether and how safely a host is reached, and that this client does not apply."""

BROKEN = (paramiko.ConfigParseError, paramiko.CouldNotCanonicalize, LookupError, ValueError, OSError)
"""What `paramiko.SSHConfig` (5.1) and the readers of its values raise."""

MATCH = re.compile(r'(!?(all|canonical|final|(host|originalhost|user|localuser)\s+("[^"]*"|\S+))\s*)+')
"""The criteria that are evaluated; paramiko (5.1, `SSHConfig`) takes those that it does not know for met."""


class HostConfig:
    """How one host is reached, identified and logged in to."""

    def __init__(self, target: SSHTarget) -> None:
        """Read the configuration for a target, whose own fields take precedence.

        Raises ConfigurationError if the configuration is broken, or has a setting that this client does not apply.
        """
        try:
            self._read(target, read_settings(target))
        except BROKEN as error:
            broken = (
                f"The ssh configuration for {target.host} cannot be read without the ssh program: {error}"
            )
            raise ConfigurationError(broken, hint=INSTALL) from error

    def _read(self, target: SSHTarget, settings: dict[str, Any]) -> None:
        def says(name: str, default: str = "") -> str:
            return str(settings.get(name, default)).lower()

        self.alias = target.host
        """The host as the user typed it."""

        self.hostname = str(settings["hostname"])
        self.port = int(settings.get("port", DEFAULT_PORT))
        check_port(self.port)
        self.user = str(settings.get("user") or getpass.getuser())
        self.plain_name = says("hostkeyalias", self.hostname)
        """The name in known_hosts and certificates."""

        has_port = self.port != DEFAULT_PORT and "hostkeyalias" not in settings
        self.name = f"[{self.plain_name}]:{self.port}" if has_port else self.plain_name
        """The name in known_hosts with the port, if that counts."""

        self.known_hosts = paths(settings.get("userknownhostsfile", KNOWN_HOSTS))
        self.global_known_hosts = paths(settings.get("globalknownhostsfile", GLOBAL_KNOWN_HOSTS))
        self.hashes_names = says("hashknownhosts") == "yes"
        strict = says("stricthostkeychecking", "ask")
        self.strict = strict if strict in LAX else "yes"
        own_key = own_key_file(target)
        names = settings.get("identityfile", IDENTITY_FILES)
        files = [own_key] if own_key else [file for name in names for file in paths(shlex.quote(name))]
        self.identities = [file for file in files if file.exists() or public_file(file).is_file()]
        self.identities_only = own_key is not None or says("identitiesonly") == "yes"
        agent = settings.get("identityagent", "SSH_AUTH_SOCK")
        if agent not in {"none", "SSH_AUTH_SOCK", os.environ.get("SSH_AUTH_SOCK")}:
            raise needs_openssh(f"IdentityAgent {agent}")
        self.has_agent = agent != "none"
        self.methods = [name for name, setting in METHODS.items() if says(setting) != "no"]
        self.is_batch = says("batchmode") == "yes"
        self.jumps = [] if says("proxyjump", "none") == "none" else settings["proxyjump"].split(",")


def needs_openssh(what: str) -> ConfigurationError:
    """Return the error for a setting that only OpenSSH's own client applies."""
    return ConfigurationError(f"{what} needs the ssh program, which is not used here", hint=INSTALL)


def read_settings(target: SSHTarget) -> dict[str, Any]:
    """Return every setting for a target by its name in lower case."""
    # The first value of a setting counts; "Host *" ends the last block before it.
    given = {"User": target.user, "Port": target.port, "ProxyJump": target.jump}
    lines = [f"{name} {value}" for name, value in given.items() if value]
    for file in (Path("~/.ssh/config").expanduser(), Path("/etc/ssh/ssh_config")):
        lines += ["Host *", *config_lines(file, file.parent)]
    settings = dict(paramiko.SSHConfig.from_text("\n".join(lines)).lookup(target.host))
    for name in NEEDS_OPENSSH.split():
        if settings.get(name.lower(), "none").lower() not in {"none", "no", "any"}:
            raise needs_openssh(f"{name} for {target.host}")
    # Of the two, the one that is set first counts (readconf.c, parse_jump). paramiko keeps their order.
    proxy = next((name for name in settings if name in {"proxyjump", "proxycommand"}), None)
    if proxy == "proxycommand" and settings["proxycommand"]:
        raise needs_openssh(f"ProxyCommand for {target.host}")
    if proxy == "proxycommand":
        settings["proxyjump"] = "none"
    return settings


def config_lines(file: Path, base: Path, depth: int = 0) -> Iterator[str]:
    """Yield a configuration file's lines, with those of included files, which are relative to `base`."""
    if depth > INCLUDE_DEPTH:
        raise ConfigurationError(f"{file}: too many levels of Include")
    in_block = False
    for line in file.read_text(errors="replace").splitlines() if file.is_file() else ():
        keyword, _, rest = re.sub(r"[\s=]+", " ", line.strip(), count=1).partition(" ")
        match keyword.lower():
            case "include" if in_block:
                raise needs_openssh(f"Include in a Host or Match block ({file})")
            case "include":
                for pattern in shlex.split(rest):
                    for path in sorted(glob.glob(str(base / Path(pattern).expanduser()))):  # noqa: PTH207 - absolute
                        yield from config_lines(Path(path), base, depth + 1)
                yield "Host *"
            case "match" if not MATCH.fullmatch(rest):
                raise needs_openssh(f"Match {rest} ({file})")
            case "host" | "match":
                in_block = rest not in {"*", "all"}
                yield line
            case _:
                yield line


def paths(value: str) -> list[Path]:
    """Return the files that a setting names. Raises ConfigurationError for tokens and variables in their names."""
    if "%" in value or "${" in value:
        raise needs_openssh(f"The file name {value} in the ssh configuration")
    return [Path(word).expanduser() for word in shlex.split(value) if word.lower() != "none"]


def public_file(key: Path) -> Path:
    """Return the file of a key's public half."""
    return key.with_name(f"{key.name.removesuffix('.pub')}.pub")


def hops(target: SSHTarget) -> list[HostConfig]:
    """Return the hosts to go through and then the target, as ProxyJump has it (ssh_config(5)).

    The first of several jump hosts is reached as its own configuration says, each other one through those before it.
    """
    found = [HostConfig(target)]
    while found[0].jumps:
        if len(found) == MAX_JUMPS:
            raise ConfigurationError(
                f"The jump hosts of {target.host} form a loop, or are more than {MAX_JUMPS}"
            )
        *before, last = found[0].jumps
        user, host, port = split_authority(last.strip().removeprefix("ssh://"))
        found.insert(0, HostConfig(SSHTarget(host, user, port, jump=",".join(before) or None)))
    return found
