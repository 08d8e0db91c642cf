"""A connection to an ssh host by paramiko: reached, identified by its host key, logged in to."""

import itertools
import os
import random
import socket
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing, contextmanager
from typing import TypeVar

import paramiko

from ocattach.config.targets.ssh import SSHTarget
from ocattach.errors import ConnectionLostError, OcattachError, TimedOutError, UnreachableError
from ocattach.execution import CommandResult, Stream, on_error
from ocattach.printable import command_line
from ocattach.transports.base import Ask
from ocattach.transports.foreground import ForegroundCommand
from ocattach.transports.ssh.command import loader_input
from ocattach.transports.ssh.connection import SessionRefusedError, SSHConnection
from ocattach.transports.ssh.paramiko.command import LOST, Command, CommandStream
from ocattach.transports.ssh.paramiko.config import HostConfig, hops
from ocattach.transports.ssh.paramiko.foreground import attached
from ocattach.transports.ssh.paramiko.host_key import check_host_key, preferred_types
from ocattach.transports.ssh.paramiko.known_hosts import KnownKey, known_keys
from ocattach.transports.ssh.paramiko.login import log_in
from ocattach.transports.tcp import dial_tcp

C = TypeVar("C", bound=Command)
T = TypeVar("T")
KEEPALIVE_SECONDS = 15
JOIN_SECONDS = 5
GREETING_PAUSES = (0.25, 0.5, 1, 2)
"""Seconds before a host is dialled again that hangs up without a greeting: a busy sshd does at random (MaxStartups)."""

KEY_TRIES = 2
"""How often a host is dialled that hangs up while the user reads its key."""

SETTLE_SECONDS = 0.1
"""How long paramiko (5.1, `Transport.run`) may take from the end of its channels to the end of the connection."""


@contextmanager
def errors_translated(host: HostConfig, timeout: float) -> Iterator[None]:
    """Raise the errors of sockets and of paramiko as an OcattachError."""
    hint = f"Try: {command_line('ssh', host.alias)}"
    try:
        yield
    except OcattachError:
        raise
    except socket.gaierror as error:
        raise UnreachableError(f"No host named {host.hostname}: {error.strerror}", hint=hint) from error
    except TimeoutError as error:
        message = f"{host.alias} ({host.hostname}) did not answer in {timeout:.0f} s"
        raise TimedOutError(message, hint=hint) from error
    except LOST as error:
        # The reason of a jump host is in `text`.
        reason = getattr(error, "strerror", None) or getattr(error, "text", None) or str(error) or "EOF"
        message = f"Cannot connect to {host.alias} ({host.hostname}, port {host.port}): {reason}"
        raise UnreachableError(message, hint=hint) from error


def connection_key(target: SSHTarget) -> str:
    """Return a key for the connection to a host: the same for all aliases of the host."""
    return repr([{**vars(hop), "alias": ""} for hop in hops(target)])


class ParamikoConnection(SSHConnection):
    """A connection to one host, and to the jump hosts before it."""

    def __init__(self, target: SSHTarget, *, ask: Ask, timeout: float, remembers: bool = True) -> None:
        *before, host = hops(target)
        self.hostname, self.user = host.hostname, host.user
        self._place = f"host {target.host}"
        self._ask = ask
        self._timeout = timeout
        self._remembers = remembers
        self._opened: list[paramiko.Transport] = []
        with on_error(self.close):
            for hop in (*before, host):
                with errors_translated(hop, timeout):
                    self._open(hop)

    @property
    def is_open(self) -> bool:
        return bool(self._opened) and all(transport.is_active() for transport in self._opened)

    def _open(self, host: HostConfig) -> None:
        through = self._opened[-1] if self._opened else None
        for _ in range(KEY_TRIES):
            known = list(known_keys((*host.known_hosts, *host.global_known_hosts)))
            transport = self._greet(host, through, known)
            key = transport.get_remote_server_key()
            check_host_key(host, key, known, self._ask if self._remembers else None)
            if transport.is_active():
                break
            # The user took longer than the host waits. The accepted key is in the file now.
            self._close_last()
        log_in(transport, host, self._ask, timeout=self._timeout)
        transport.set_keepalive(KEEPALIVE_SECONDS)

    def _greet(
        self, host: HostConfig, through: paramiko.Transport | None, known: list[KnownKey]
    ) -> paramiko.Transport:
        """Return an encrypted connection to a host that is not identified yet."""
        seconds = self._timeout
        for tried in itertools.count():
            transport = paramiko.Transport(dial(host, through, seconds))
            self._opened.append(transport)
            options = transport.get_security_options()
            options.key_types = preferred_types(options.key_types, host, known)
            transport.banner_timeout = transport.handshake_timeout = 2 * seconds
            try:
                transport.start_client(timeout=seconds)
            except (EOFError, paramiko.SSHException):
                if transport.remote_version or tried == len(GREETING_PAUSES):
                    raise
                self._close_last()
                time.sleep(GREETING_PAUSES[tried] * random.uniform(0.75, 1.25))  # noqa: S311 - spreads the clients
            else:
                if not transport.initial_kex_done:  # start_client (5.1) returns at its timeout
                    raise TimeoutError
                break
        return transport

    def _start(self, kind: type[C], timeout: float, script: bytes, stdin: bytes = b"") -> C:
        return self._on_channel(
            lambda channel: kind(channel, script, stdin, place=self._place, timeout=timeout), timeout
        )

    def _on_channel(self, start: Callable[[paramiko.Channel], T], timeout: float) -> T:
        began = time.monotonic()
        try:
            return start(self._opened[-1].open_channel("session", timeout=timeout))
        except (IndexError, *LOST) as error:
            if self._opened and not isinstance(error, paramiko.ChannelException):
                self._opened[-1].join(SETTLE_SECONDS)
            if not self.is_open:
                message = f"The ssh connection to {self._place} is lost: {error}"
                raise ConnectionLostError(message) from error
            if time.monotonic() - began >= timeout:
                message = f"{self._place} did not start a command in {timeout:.0f} s"
                raise TimedOutError(message) from error
            raise SessionRefusedError(
                f"{self._place} runs no further command on this connection: {error}",
                hint="Its MaxSessions may be too low",
            ) from error

    def run(self, argv: Sequence[str], *, stdin: bytes, timeout: float) -> CommandResult:
        script = loader_input(argv, has_more=bool(stdin))
        with closing(self._start(Command, timeout, script, stdin)) as running:
            return running.result()

    def open_stream(self, argv: Sequence[str]) -> Stream:
        return self._start(CommandStream, self._timeout, loader_input(argv))

    def open_foreground(self, line: str, *, size: os.terminal_size | None) -> ForegroundCommand:
        return self._on_channel(lambda channel: attached(channel, line, size, self._place), self._timeout)

    def _close_last(self) -> None:
        transport = self._opened.pop()
        transport.close()
        transport.join(JOIN_SECONDS)

    def close(self) -> None:
        while self._opened:
            self._close_last()


def dial(
    host: HostConfig, through: paramiko.Transport | None, seconds: float
) -> socket.socket | paramiko.Channel:
    """Return a connection to a host's ssh port, made by the jump host if there is one."""
    address = (host.hostname, host.port)
    if through is None:
        return dial_tcp(*address, seconds)
    try:
        return through.open_channel("direct-tcpip", address, ("127.0.0.1", 0), timeout=seconds)
    except paramiko.SSHException as error:
        if isinstance(error, paramiko.ChannelException) or not through.is_active():
            raise
        raise TimeoutError from error
