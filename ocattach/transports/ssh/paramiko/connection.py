"""A connection to an ssh host by paramiko: reached, identified by its host key, logged in to."""

import os
import socket
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from functools import partial
from typing import TypeVar

import paramiko

from ocattach.config.targets.ssh import SSHTarget
from ocattach.errors import ConnectionLostError, OcattachError, TimedOutError, UnreachableError
from ocattach.execution import on_error
from ocattach.printable import command_line
from ocattach.transports.containers.exec_stream import split_frames
from ocattach.transports.foreground import AttachedCommand, ForegroundCommand
from ocattach.transports.ssh.connection import (
    END_SECONDS,
    HostCommand,
    HungUpError,
    SessionRefusedError,
    SSHConnection,
    log_in_again,
)
from ocattach.transports.ssh.paramiko.channel import LOST, ChannelCommand, FramedCommand
from ocattach.transports.ssh.paramiko.config import HostConfig, hops
from ocattach.transports.ssh.paramiko.known_hosts import check_host_key, known_keys, preferred_types
from ocattach.transports.ssh.paramiko.login import log_in
from ocattach.transports.tcp import dial_tcp

T = TypeVar("T")
KEEPALIVE_SECONDS = 15
JOIN_SECONDS = 5
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


class ParamikoConnection(SSHConnection):
    """A connection to one host, and to the jump hosts before it."""

    def open(self, login: str | None) -> None:  # noqa: ARG002 - another process's cannot be used
        *before, host = hops(self.target)
        self.hostname, self.user = host.hostname, host.user
        self._opened: list[paramiko.Transport] = []
        with on_error(self.close):
            for hop in (*before, host):
                transport = log_in_again(partial(self._reach, hop), self.timeout)
                log_in(transport, hop, self.ask, timeout=self.timeout)
                transport.set_keepalive(KEEPALIVE_SECONDS)

    @staticmethod
    def key(target: SSHTarget) -> str:
        return repr([{**vars(hop), "alias": ""} for hop in hops(target)])

    @property
    def is_open(self) -> bool:
        return bool(self._opened) and all(transport.is_active() for transport in self._opened)

    def _reach(self, host: HostConfig) -> paramiko.Transport:
        """Return an encrypted connection to a host whose key is accepted. Raises HungUpError."""
        known = list(known_keys((*host.known_hosts, *host.global_known_hosts)))
        through = self._opened[-1] if self._opened else None
        with errors_translated(host, self.timeout):
            transport = paramiko.Transport(dial(host, through, self.timeout))
        self._opened.append(transport)
        options = transport.get_security_options()
        options.key_types = preferred_types(options.key_types, host, known)
        transport.banner_timeout = transport.handshake_timeout = 2 * self.timeout
        try:
            with errors_translated(host, self.timeout):
                transport.start_client(timeout=self.timeout)
                if not transport.initial_kex_done:  # start_client (5.1) returns at its timeout
                    raise TimeoutError
        except UnreachableError as error:
            if transport.remote_version:
                raise
            self._close_last()
            raise HungUpError(error.message, hint=error.hint) from error
        key = transport.get_remote_server_key()
        check_host_key(host, key, known, self.ask if self.remembers else None)
        if not transport.is_active():
            # The user took longer than the host waits. The accepted key is in the file now.
            self._close_last()
            raise HungUpError(f"{host.alias} hung up while its key was checked", hint="Try again")
        return transport

    def _on_channel(self, start: Callable[[paramiko.Channel], T], timeout: float) -> T:
        began = time.monotonic()
        try:
            channel = self._opened[-1].open_channel("session", timeout=timeout)
            with on_error(channel.close):
                return start(channel)
        except (IndexError, *LOST) as error:
            if self._opened and not isinstance(error, paramiko.ChannelException):
                self._opened[-1].join(SETTLE_SECONDS)
            if not self.is_open:
                message = f"The ssh connection to {self.place} is lost: {error}"
                raise ConnectionLostError(message) from error
            if time.monotonic() - began >= timeout:
                message = f"{self.place} did not start a command in {timeout:.0f} s"
                raise TimedOutError(message) from error
            raise SessionRefusedError(self.place, f": {error}") from error

    def start(self, line: str, *, keeps_all: bool, has_input: bool, timeout: float) -> HostCommand:
        return self._on_channel(
            lambda channel: ChannelCommand(channel, line, keeps_all=keeps_all, has_input=has_input), timeout
        )

    def open_foreground(self, line: str, *, size: os.terminal_size | None) -> ForegroundCommand:
        return self._on_channel(lambda channel: self._attach(channel, line, size), self.timeout)

    def _attach(self, channel: paramiko.Channel, line: str, size: os.terminal_size | None) -> AttachedCommand:
        if size is not None:
            channel.get_pty(os.environ.get("TERM", "vt100"), size.columns, size.lines)
        command = FramedCommand(channel, line, keeps_all=False, has_input=True)

        def resize(new: os.terminal_size) -> None:
            with suppress(*LOST):
                channel.resize_pty(new.columns, new.lines)

        def exit_code() -> int:
            if not command.is_whole():
                raise ConnectionLostError(f"The ssh connection to {self.place} ended while a command ran")
            return command.wait(END_SECONDS)

        return AttachedCommand(command, split_frames(), resize, exit_code)

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
