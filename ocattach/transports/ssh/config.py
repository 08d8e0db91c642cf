"""How one ssh host is reached, recognised and logged in to: its configuration, as values."""

import getpass
import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from ocattach.config.targets.ssh import SSHTarget
from ocattach.errors import ConfigurationError, UnreachableError
from ocattach.transports.ssh.settings import (
    Settings,
    expand,
    expand_path,
    first,
    is_on,
    read_settings,
    tokens,
    words,
)

DEFAULT_PORT = 22
PASSWORD_PROMPTS = 3
MAX_JUMPS = 16
METHODS = "publickey,keyboard-interactive,password"
"""Those of OpenSSH's PreferredAuthentications that exist here, in its order."""

METHOD_SETTINGS = {
    "publickey": "pubkeyauthentication",
    "keyboard-interactive": "kbdinteractiveauthentication",
    "password": "passwordauthentication",
}
STRICT = {"true": "yes", "false": "off", "no": "off"}
"""Other words for the values of StrictHostKeyChecking."""


@dataclass(frozen=True, slots=True)
class Identities:
    """The keys that a host is offered."""

    files: tuple[Path, ...]
    """Private keys, or public ones whose private half the agent has; those that exist, in their order."""

    certificates: tuple[Path, ...] = ()
    """CertificateFile; where there is none, each key's own KEY-cert.pub counts."""

    agent: str | None = None
    """The agent's socket."""

    only: bool = False
    """IdentitiesOnly: of the agent's keys, only those that `files` names."""


@dataclass(frozen=True, slots=True)
class KnownHosts:
    """Where a host's key is looked up, and what becomes of an unknown one."""

    name: str
    """The name under which the files have the key: an alias, the host, or [host]:port."""

    plain_name: str
    """The same without a port."""

    files: tuple[Path, ...]
    """The user's; a key that is accepted is added to the first."""

    global_files: tuple[Path, ...] = ()
    revoked: Path | None = None
    hashed: bool = False
    """HashKnownHosts: names are written so that the file does not tell them."""

    strict: str = "ask"
    """StrictHostKeyChecking as the user set it: "ask", "yes", "accept-new" or "off"."""


@dataclass(frozen=True, slots=True)
class HostConfig:
    """How one host is reached and recognised."""

    alias: str
    """The host as the user wrote it."""

    hostname: str
    user: str
    port: int
    identities: Identities
    known_hosts: KnownHosts
    methods: tuple[str, ...]
    """Ways to authenticate, the preferred first."""

    password_prompts: int = PASSWORD_PROMPTS
    batch: bool = False
    """BatchMode: nobody is asked."""

    connect_timeout: float | None = None
    family: str = "any"
    """AddressFamily: any, inet or inet6."""

    bind_address: str | None = None
    proxy_command: str | None = None
    """The user's own command whose input and output lead to the host."""

    jumps: tuple[str, ...] = ()
    """Hosts to go through, nearest first."""


def host_config(target: SSHTarget) -> HostConfig:
    """The configuration for a target; what the target itself says comes first."""
    settings = read_settings(target)
    hostname = first(settings, "hostname") or target.host
    port = target.port or int(first(settings, "port") or DEFAULT_PORT)
    user = target.user or first(settings, "user") or getpass.getuser()
    alias = first(settings, "hostkeyalias")
    name = (alias or hostname).lower()
    meanings = tokens(alias=target.host, hostname=hostname, port=port, user=user, key_name=name)
    command = first(settings, "proxycommand")
    if command and is_on(settings, "proxyusefdpass", default=False):
        raise ConfigurationError(f"{target.host}: ProxyUseFdpass is not supported; leave it out")
    jump = first(settings, "proxyjump")
    timeout = first(settings, "connecttimeout")
    return HostConfig(
        alias=target.host,
        hostname=hostname,
        user=user,
        port=port,
        identities=identities(target, settings, meanings),
        known_hosts=KnownHosts(
            # With an alias the port does not count (sshconnect.c, get_hostfile_hostname_ipaddr).
            name=name if alias or port == DEFAULT_PORT else f"[{name}]:{port}",
            plain_name=name,
            files=paths(settings, "userknownhostsfile", meanings),
            global_files=paths(settings, "globalknownhostsfile", meanings),
            revoked=next(iter(paths(settings, "revokedhostkeys", meanings)), None),
            hashed=is_on(settings, "hashknownhosts", default=False),
            strict=strictness(settings),
        ),
        methods=methods(settings),
        password_prompts=int(first(settings, "numberofpasswordprompts") or PASSWORD_PROMPTS),
        batch=is_on(settings, "batchmode", default=False),
        connect_timeout=float(timeout) if timeout and timeout.isdigit() else None,
        family=first(settings, "addressfamily") or "any",
        bind_address=first(settings, "bindaddress"),
        proxy_command=expand(command, meanings) if command else None,
        jumps=tuple(jump.split(",")) if jump else (),
    )


def way_to(target: SSHTarget) -> list[HostConfig]:
    """The hosts to go through and then the target, as OpenSSH's ProxyJump has it.

    The first of several jump hosts is reached as its own configuration says, each other one through those before it.
    """
    hops: list[HostConfig] = []
    while len(hops) < MAX_JUMPS:
        config = host_config(target)
        hops.insert(0, config)
        if not config.jumps:
            return hops
        *before, last = config.jumps
        target = jump_target(last, ",".join(before) or None)
    raise ConfigurationError(
        f"{hops[-1].alias}: its jump hosts lead in a circle, or are more than {MAX_JUMPS}"
    )


def jump_target(text: str, jump: str | None = None) -> SSHTarget:
    """A host of ProxyJump: [user@]host[:port], or that as a URI."""
    user, _, rest = text.removeprefix("ssh://").rpartition("@")
    host, colon, port = rest.rpartition(":")
    if not colon or not port.isdigit() or (":" in host and not host.endswith("]")):
        host, port = rest, ""
    return SSHTarget(host=host.strip("[]"), user=user or None, port=int(port) if port else None, jump=jump)


def strictness(settings: Settings) -> str:
    """StrictHostKeyChecking in one word; what is not known is the strictest."""
    value = (first(settings, "stricthostkeychecking") or "ask").lower()
    value = STRICT.get(value, value)
    return value if value in {"ask", "accept-new", "off"} else "yes"


def methods(settings: Settings) -> tuple[str, ...]:
    """The ways to authenticate that are wanted, in the order that is wanted."""
    preferred = (first(settings, "preferredauthentications") or METHODS).split(",")
    return tuple(
        method
        for method in preferred
        if method in METHOD_SETTINGS and is_wanted(settings, METHOD_SETTINGS[method])
    )


def is_wanted(settings: Settings, key: str) -> bool:
    """Whether a method is switched on; PubkeyAuthentication has values besides yes and no."""
    return (first(settings, key) or "yes").lower() not in {"no", "false"}


def paths(settings: Settings, key: str, meanings: Mapping[str, str]) -> tuple[Path, ...]:
    """The files that a setting names."""
    return tuple(expand_path(name, meanings) for name in words(settings, key))


def identities(target: SSHTarget, settings: Settings, meanings: Mapping[str, str]) -> Identities:
    """The keys to offer. A key that the connection itself names is the only one, be it in the file or the agent."""
    certificates = tuple(expand_path(name, meanings) for name in settings.get("certificatefile", []))
    if target.identity_file:
        file = Path(target.identity_file).expanduser()
        if not file.is_file():
            raise UnreachableError(
                f"The identity file {file} does not exist", hint="Name another with --identity"
            )
        named = [file]
    else:
        names = [name for name in settings.get("identityfile", []) if name.lower() != "none"]
        named = [expand_path(name, meanings) for name in names]
    return Identities(
        files=tuple(file for file in named if file.is_file() or file.with_name(f"{file.name}.pub").is_file()),
        certificates=tuple(file for file in certificates if file.is_file()),
        agent=agent_socket(settings, meanings),
        only=target.identity_file is not None or is_on(settings, "identitiesonly", default=False),
    )


def agent_socket(settings: Settings, meanings: Mapping[str, str]) -> str | None:
    """The agent to ask: IdentityAgent's, else that of SSH_AUTH_SOCK."""
    own = os.environ.get("SSH_AUTH_SOCK") or None
    named = settings.get("identityagent", ["SSH_AUTH_SOCK"])[0]
    if named.lower() == "none":
        return None
    if named == "SSH_AUTH_SOCK":
        return own
    if named.startswith("$") and not named.startswith("${"):
        return os.environ.get(named[1:]) or None
    return str(expand_path(named, meanings))
