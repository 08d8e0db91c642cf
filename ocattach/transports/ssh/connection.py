"""An authenticated connection to an ssh host: reached, recognised by its host key, logged in to."""

import random
import socket
import time
from collections.abc import Iterator
from contextlib import contextmanager

from ocattach.config.targets.ssh import SSHTarget
from ocattach.errors import (
    ConnectionLostError,
    OcattachError,
    PortClosedError,
    TimedOutError,
    UnreachableError,
)
from ocattach.printable import command_line
from ocattach.transports.base import Ask
from ocattach.transports.optional import without_module
from ocattach.transports.ssh.config import HostConfig, way_to

# paramiko/config.py (5.1) imports invoke, and with it a YAML of its own, for "Match exec", which OpenSSH does for us.
with without_module("invoke"):
    import paramiko

from ocattach.transports.ssh.dial import ProxyCommand
from ocattach.transports.ssh.host_key import check_host_key, keys_for, preferred_types
from ocattach.transports.ssh.known_hosts import KnownKey
from ocattach.transports.ssh.login import log_in
from ocattach.transports.tcp import dial_tcp

ALIVE = "keepalive@openssh.com"
"""A request that no server knows and every server answers (RFC 4254, 4)."""

FAMILIES = {"inet": socket.AF_INET, "inet6": socket.AF_INET6}
"""AddressFamily, as ssh_config(5) has it."""

KEEPALIVE_SECONDS = 15
JOIN_SECONDS = 5
GREETING_TRIES = 5
"""How often a host may hang up before it has said a word: sshd does so by chance when it is busy (MaxStartups)."""

GREETING_PAUSE = 0.25
"""Seconds before the second try, doubled before each further one: four in all."""

KEY_TRIES = 2
"""How often a host is dialled that does not wait until a person has looked at its key."""

FORWARDING_PROHIBITED = 1
"""Reason code "administratively prohibited" (RFC 4254, 5.1)."""

WINDOW = 256 * 1024
"""Bytes that a slow client of a forwarded port lets pile up here; paramiko's own are 2 MiB for each connection."""


class ForwardingProhibitedError(UnreachableError):
    """The host does not open connections for us (AllowTcpForwarding no); the relay does."""


class SessionRefusedError(UnreachableError):
    """The host is connected, and runs no further command on this connection (MaxSessions)."""


@contextmanager
def errors_translated(config: HostConfig, timeout: float) -> Iterator[None]:
    """Errors of sockets and of paramiko as errors of ours."""
    try:
        yield
    except OcattachError:
        raise
    except socket.gaierror as error:
        raise UnreachableError(
            f"No host named {config.hostname}: {error.strerror}",
            hint=f"Try: {command_line('ssh', config.alias)}",
        ) from error
    except TimeoutError as error:
        raise TimedOutError(
            f"{config.alias} ({config.hostname}) did not answer in {timeout:.0f} s",
            hint=f"Try: {command_line('ssh', config.alias)}",
        ) from error
    except (OSError, EOFError, paramiko.SSHException) as error:
        raise UnreachableError(
            f"Cannot connect to {config.alias} ({config.hostname}, port {config.port}): "
            f"{getattr(error, 'strerror', None) or str(error) or type(error).__name__}",
            hint=f"Try: {command_line('ssh', config.alias)}",
        ) from error


class HostTransport(paramiko.Transport):
    """paramiko's transport, with the kinds of host keys to ask for in our order."""

    key_order: tuple[str, ...] = ()

    @property
    def preferred_keys(self) -> tuple[str, ...]:
        """What is asked for."""
        return self.key_order


class SSHConnection:
    """The connection to one host, and to those that lead to it."""

    def __init__(self, target: SSHTarget, *, ask: Ask, timeout: float, remembers: bool = True) -> None:
        *before, self.config = way_to(target)
        self._ask = ask
        self._timeout = timeout
        self._remembers = remembers
        self._opened: list[paramiko.Transport | ProxyCommand] = []
        through = None
        try:
            for hop in (*before, self.config):
                with errors_translated(hop, timeout):
                    through = self._open(hop, through)
        except BaseException:
            self.close()
            raise
        self.transport: paramiko.Transport = through  # type: ignore[assignment]  # there is at least one hop

    def _open(self, config: HostConfig, through: paramiko.Transport | None) -> paramiko.Transport:
        for _ in range(KEY_TRIES):
            known = keys_for(config)
            transport = self._greet(config, through, known)
            check_host_key(config, sent_key(transport), known, self._ask if self._remembers else None)
            if transport.is_active():
                break
            # The person took longer to answer than the host waits; the answer is remembered.
            transport.close()
        log_in(transport, config, self._ask, timeout=self._timeout)
        transport.set_keepalive(KEEPALIVE_SECONDS)
        return transport

    def _greet(
        self, config: HostConfig, through: paramiko.Transport | None, known: list[KnownKey]
    ) -> paramiko.Transport:
        """A connection that is encrypted, to a host that nobody has recognised yet."""
        seconds = min(self._timeout, config.connect_timeout or self._timeout)
        for tried in range(GREETING_TRIES):
            way, command = self._dial(config, through, seconds)
            transport = HostTransport(way)
            self._opened.append(transport)
            transport.key_order = preferred_types(transport.get_security_options().key_types, known)
            transport.banner_timeout = transport.handshake_timeout = transport.auth_timeout = seconds
            try:
                transport.start_client(timeout=seconds)
            except (EOFError, paramiko.SSHException) as error:
                if command is not None:
                    raise paramiko.SSHException(f"{error} (ProxyCommand: {command.diagnosis()})") from error
                if transport.remote_version or tried == GREETING_TRIES - 1:
                    raise
                transport.close()
                time.sleep(GREETING_PAUSE * 2**tried * random.uniform(0.75, 1.25))  # noqa: S311 - spreads those who wait
            else:
                if not transport.initial_kex_done:  # paramiko (5.1) gives up waiting without a word
                    raise TimeoutError
                return transport
        raise AssertionError(GREETING_TRIES)

    def _dial(
        self, config: HostConfig, through: paramiko.Transport | None, seconds: float
    ) -> tuple[socket.socket | paramiko.Channel, ProxyCommand | None]:
        if through is not None:
            address = (config.hostname, config.port)
            return through.open_channel("direct-tcpip", address, ("127.0.0.1", 0), timeout=seconds), None
        if config.proxy_command:
            command = ProxyCommand(config.proxy_command)
            self._opened.append(command)
            return command.socket, command
        family = FAMILIES.get(config.family, socket.AF_UNSPEC)
        tcp = dial_tcp(config.hostname, config.port, seconds, family=family, bind_address=config.bind_address)
        return tcp, None

    def open_command(self, command: str, *, timeout: float) -> paramiko.Channel:
        """A channel on which the host's login shell runs a command line.

        Raises SessionRefusedError when the host allows no further one on this connection.
        """
        with errors_translated(self.config, timeout):
            try:
                channel = self._open_channel("session", timeout=timeout)
            except paramiko.ChannelException as error:
                raise SessionRefusedError(
                    f"{self.config.alias} runs no command on this connection: {error}",
                    hint="Its MaxSessions may be too low",
                ) from error
            channel.exec_command(command)
            return channel

    def forward(self, host: str, port: int, *, timeout: float) -> paramiko.Channel:
        """A connection that the host opens for us; several threads may ask at once.

        Raises ConnectionLostError when the whole connection is gone, ForwardingProhibitedError when the host does
        not do such things, PortClosedError when nothing listens there, TimedOutError when the host does not say.
        """
        try:
            return self._open_channel("direct-tcpip", (host, port), timeout=timeout)
        except (OSError, EOFError, paramiko.SSHException) as error:
            if not (isinstance(error, paramiko.SSHException) and self.transport.is_active()):
                message = f"The ssh connection to {self.config.alias} is gone: {error}"
                raise ConnectionLostError(message) from error
            if not isinstance(error, paramiko.ChannelException):
                message = f"{self.config.alias} did not open a connection to port {port} within {timeout:g} s"
                raise TimedOutError(message) from error
            if error.code == FORWARDING_PROHIBITED:
                raise ForwardingProhibitedError(f"{self.config.alias} refuses to forward ports") from error
            raise PortClosedError(f"Nothing listens on port {port} of {self.config.alias}") from error

    def _open_channel(
        self, kind: str, there: tuple[str, int] | None = None, *, timeout: float
    ) -> paramiko.Channel:
        """A channel, as paramiko opens it; asked for again where it was refused and the reason went to another thread.

        paramiko keeps one reason for a whole connection (5.1, `Transport.saved_exception`): of several channels that
        are refused at once, one thread learns it and the others nothing, which looks as if the host had not answered.
        """
        deadline = time.monotonic() + timeout
        here, window = (None, None) if there is None else (("127.0.0.1", 0), WINDOW)
        while True:
            try:
                left = deadline - time.monotonic()
                return self.transport.open_channel(kind, there, here, window_size=window, timeout=left)
            except paramiko.ChannelException:
                raise
            except paramiko.SSHException:
                if not self.transport.is_active() or time.monotonic() >= deadline:
                    raise

    def await_end(self) -> str:
        """Why the connection is gone, as soon as it is."""
        self.transport.join()
        reason = self.transport.get_exception()
        return f"The ssh connection to {self.config.alias} ended" + (f": {reason}" if reason else "")

    def await_answer(self) -> None:
        """Return once the host has answered, whatever it says; nothing else may ask at the same time.

        Raises ConnectionLostError when the connection ends instead. As OpenSSH's ServerAlive messages (ssh_config(5)).
        """
        try:
            self.transport.global_request(ALIVE, wait=True)
        except (OSError, EOFError, paramiko.SSHException) as error:
            raise ConnectionLostError(
                f"The ssh connection to {self.config.alias} is gone: {error}"
            ) from error
        if not self.transport.is_active():
            raise ConnectionLostError(self.await_end())

    def close(self) -> None:
        """End every connection, the last one first."""
        while self._opened:
            opened = self._opened.pop()
            opened.close()
            if isinstance(opened, paramiko.Transport):
                opened.join(timeout=JOIN_SECONDS)


def sent_key(transport: paramiko.Transport) -> bytes:
    """The key that the host has shown to be its own, with its certificate where it sent one."""
    key = transport.get_remote_server_key()
    return key.public_blob.key_blob if key.public_blob else key.asbytes()
