"""An authenticated connection to an ssh host: reached, recognised by its host key, logged in to."""

import base64
import hashlib
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from ocattach.config.targets.ssh import SSHTarget
from ocattach.errors import (
    AuthenticationError,
    ConnectionLostError,
    HostKeyError,
    OcattachError,
    TimedOutError,
    UnreachableError,
)
from ocattach.transports.base import Ask, Question
from ocattach.transports.optional import without_module
from ocattach.transports.ssh_config import HostConfig, host_config

# paramiko/config.py (5.1) imports invoke, and with it a YAML of its own, for "Match exec", which OpenSSH does for us.
with without_module("invoke"):
    import paramiko
    from paramiko.hostkeys import HostKeyEntry

KEEPALIVE_SECONDS = 15
PASSWORD_TRIES = 3
JOIN_SECONDS = 5
FORWARDING_PROHIBITED = 1
"""Reason code "administratively prohibited" (RFC 4254, 5.1)."""

WINDOW = 256 * 1024
"""Bytes that a slow client of a forwarded port lets pile up here; paramiko's own are 2 MiB for each connection."""


class ForwardingProhibitedError(UnreachableError):
    """The host does not open connections for us (AllowTcpForwarding no); the relay does."""


@contextmanager
def translated(config: HostConfig, timeout: float) -> Iterator[None]:
    """Errors of sockets and of paramiko as errors of ours."""
    try:
        yield
    except OcattachError:
        raise
    except socket.gaierror as error:
        raise UnreachableError(
            f"No host named {config.hostname}: {error.strerror}", hint=f"Try: ssh {config.alias}"
        ) from error
    except TimeoutError as error:
        raise TimedOutError(
            f"{config.alias} ({config.hostname}) did not answer in {timeout:.0f} s"
        ) from error
    except (OSError, EOFError, paramiko.SSHException) as error:
        raise UnreachableError(
            f"Cannot connect to {config.alias} ({config.hostname}, port {config.port}): "
            f"{str(error) or type(error).__name__}",
            hint=f"Try: ssh {config.alias}",
        ) from error


class SSHConnection:
    """The connection to one host, and to those that lead to it."""

    def __init__(self, target: SSHTarget, *, ask: Ask, timeout: float) -> None:
        self.config = host_config(target)
        self._transports: list[paramiko.Transport] = []
        through = None
        try:
            for hop in [*(host_config(jump_target(text)) for text in self.config.jumps), self.config]:
                through = self._open(hop, through, ask, timeout)
        except BaseException:
            self.close()
            raise

    @property
    def transport(self) -> paramiko.Transport:
        """The connection to the last host."""
        return self._transports[-1]

    def _open(
        self, config: HostConfig, through: paramiko.Transport | None, ask: Ask, timeout: float
    ) -> paramiko.Transport:
        with translated(config, timeout):
            address = (config.hostname, config.port)
            way: socket.socket | paramiko.Channel
            if through is None:
                way = socket.create_connection(address, timeout)
                way.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            else:
                way = through.open_channel("direct-tcpip", address, ("127.0.0.1", 0), timeout=timeout)
            transport = paramiko.Transport(way)
            self._transports.append(transport)
            known = known_keys(config)
            prefer_known_types(transport, known)
            transport.start_client(timeout=timeout)
            check_host_key(config, transport.get_remote_server_key(), known, ask)
            log_in(transport, config, ask)
            transport.set_keepalive(KEEPALIVE_SECONDS)
            return transport

    def open_command(self, command: str, *, timeout: float) -> paramiko.Channel:
        """A channel on which the host's login shell runs a command line."""
        with translated(self.config, timeout):
            channel = self.transport.open_session(timeout=timeout)
            channel.exec_command(command)
            return channel

    def forward(self, host: str, port: int, *, timeout: float) -> paramiko.Channel:
        """A connection that the host opens for us; several threads may ask at once.

        Raises ConnectionLostError when the whole connection is gone, ForwardingProhibitedError when the host does
        not do such things, UnreachableError when nothing listens there.
        """
        try:
            return self.transport.open_channel(
                "direct-tcpip", (host, port), ("127.0.0.1", 0), window_size=WINDOW, timeout=timeout
            )
        except paramiko.ChannelException as error:
            if error.code == FORWARDING_PROHIBITED:
                raise ForwardingProhibitedError(f"{self.config.alias} refuses to forward ports") from error
            raise UnreachableError(f"Nothing listens on port {port} of {self.config.alias}") from error
        except (OSError, EOFError, paramiko.SSHException) as error:
            message = f"The ssh connection to {self.config.alias} is gone: {error}"
            raise ConnectionLostError(message) from error

    def close(self) -> None:
        """End every connection, the last one first."""
        while self._transports:
            transport = self._transports.pop()
            transport.close()
            transport.join(timeout=JOIN_SECONDS)


def jump_target(text: str) -> SSHTarget:
    """A host of ProxyJump: [user@]host[:port]."""
    user, _, rest = text.rpartition("@")
    host, colon, port = rest.rpartition(":")
    if not colon or not port.isdigit():
        host, port = rest, ""
    return SSHTarget(host=host.strip("[]"), user=user or None, port=int(port) if port else None)


def known_keys(config: HostConfig) -> list[paramiko.PKey]:
    """The keys under which the host is known; empty when it was never met."""
    keys = []
    for file in config.known_hosts_files:
        if file.is_file():
            found = paramiko.HostKeys(str(file)).lookup(config.host_key_name)
            keys += list(found.values()) if found else []
    return keys


def prefer_known_types(transport: paramiko.Transport, known: list[paramiko.PKey]) -> None:
    """Ask the host for a key of a type that can be compared, as OpenSSH does."""
    names = [key.get_name() for key in known]
    options = transport.get_security_options()

    def is_known(key_type: str) -> bool:
        return key_type in names or (key_type.startswith("rsa-sha2-") and "ssh-rsa" in names)

    options.key_types = sorted(options.key_types, key=lambda key_type: not is_known(key_type))


def check_host_key(config: HostConfig, key: paramiko.PKey, known: list[paramiko.PKey], ask: Ask) -> None:
    """Refuse a host with another key than the known one; ask about one that was never met."""
    if any(key == expected for expected in known):
        return
    shown = f"{key.get_name()} {fingerprint(key)}"
    if known:
        raise HostKeyError(
            f"The host key of {config.alias} ({config.host_key_name}) has changed to {shown}: refused",
            hint=f"If the change is expected: ssh-keygen -R '{config.host_key_name}', and connect again",
        )
    if config.strict == "yes":
        raise HostKeyError(
            f"The host key of {config.alias} is not known ({shown}) and StrictHostKeyChecking is yes: refused",
            hint="Add the key to your known_hosts once you have verified it",
        )
    if config.strict == "accept-new":
        remember(config, key)
        return
    question = (
        f"The authenticity of host {config.alias} ({config.host_key_name}) is not known.\n"
        f"Its key is {shown}.\nConnect and remember it?"
    )
    if ask(Question(question, confirm=True)) != "yes":
        raise HostKeyError(f"The host key of {config.alias} was not accepted")
    remember(config, key)


def remember(config: HostConfig, key: paramiko.PKey) -> None:
    """Add an accepted key to the user's known_hosts, as OpenSSH writes it."""
    file = (
        config.known_hosts_files[0] if config.known_hosts_files else Path("~/.ssh/known_hosts").expanduser()
    )
    file.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    line = HostKeyEntry([config.host_key_name], key).to_line()
    with file.open("a+") as known_hosts:
        known_hosts.write(line or "")


def fingerprint(key: paramiko.PKey) -> str:
    """The fingerprint as OpenSSH shows it."""
    digest = base64.b64encode(hashlib.sha256(key.asbytes()).digest()).decode()
    return f"SHA256:{digest.rstrip('=')}"


def log_in(transport: paramiko.Transport, config: HostConfig, ask: Ask) -> None:
    """Authenticate with keys, then with what a person can type, as far as the host accepts these."""
    try:
        transport.auth_none(config.user)
    except paramiko.BadAuthenticationType as refusal:
        accepted = set(refusal.allowed_types)
    else:
        return
    tried: list[str] = []
    if "publickey" in accepted and try_keys(transport, config, ask, tried):
        return
    if "password" in accepted and try_password(transport, config, ask):
        return
    what = f" with {', '.join(tried)}" if tried else ""
    raise AuthenticationError(
        f"{config.alias} did not accept {config.user}{what} (it accepts: {', '.join(sorted(accepted))})",
        hint=f"Try: ssh {config.user}@{config.alias}",
    )


def try_keys(transport: paramiko.Transport, config: HostConfig, ask: Ask, tried: list[str]) -> bool:
    """Whether one of the user's keys is accepted."""
    for name, key in offered_keys(config, ask):
        tried.append(name)
        try:
            transport.auth_publickey(config.user, key)
        except paramiko.AuthenticationException:
            continue
        if transport.is_authenticated():
            return True
    return False


def offered_keys(config: HostConfig, ask: Ask) -> Iterator[tuple[str, paramiko.PKey]]:
    """The agent's keys, then those in files."""
    if config.use_agent:
        agent = paramiko.Agent()
        for key in agent.get_keys():
            yield f"agent key {key.get_name()}", key
        agent.close()
    for file in config.identity_files:
        yield str(file), load_key(file, ask)


def load_key(file: Path, ask: Ask) -> paramiko.PKey:
    """A private key, its passphrase asked for where it has one."""
    try:
        return paramiko.PKey.from_path(file)
    except (paramiko.PasswordRequiredException, TypeError):
        passphrase = ask(Question(f"Passphrase for {file}: ", secret=True))
    except (paramiko.SSHException, ValueError) as error:
        raise AuthenticationError(f"The key file {file} cannot be read: {error}") from error
    try:
        # Bytes, whatever its annotation says (paramiko 5.1).
        return paramiko.PKey.from_path(file, passphrase.encode())  # type: ignore[arg-type]
    except (paramiko.SSHException, ValueError) as error:
        raise AuthenticationError(f"That is not the passphrase of {file}") from error


def try_password(transport: paramiko.Transport, config: HostConfig, ask: Ask) -> bool:
    """Whether a typed password is accepted; it is kept nowhere."""
    for _ in range(PASSWORD_TRIES):
        password = ask(Question(f"{config.user}@{config.alias}'s password: ", secret=True))
        try:
            transport.auth_password(config.user, password)
        except paramiko.AuthenticationException:
            continue
        return bool(transport.is_authenticated())
    return False
