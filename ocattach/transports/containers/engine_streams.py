"""Connections to an engine as streams: unix socket, TCP, TLS, or a command on an ssh host."""

import socket
import threading
from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import NamedTuple
from urllib.parse import SplitResult, unquote, urlsplit

from ocattach.config.spec import ConnectionSpec
from ocattach.config.targets.ssh import SSHTarget
from ocattach.config.targets.uri_text import split_authority
from ocattach.errors import AuthenticationError, ConfigurationError
from ocattach.execution import Stream, on_error
from ocattach.opencode.endpoint import is_loopback
from ocattach.transports import open_handler
from ocattach.transports.base import Ask
from ocattach.transports.command import CommandTransport
from ocattach.transports.containers.engine_tls import TLSStream, client_context
from ocattach.transports.tcp import dial_tcp

PLAIN_PORT, TLS_PORT = 2375, 2376
"""The default TCP ports of engines (docker/cli: opts/hosts.go)."""

ADDRESS_OPTIONS = {"docker": "--host", "podman": "--url"}
"""Each command line's option for the engine's address."""


PLAIN_SCHEMES = ("tcp", "http")

TLS_BY = {"docker": "DOCKER_TLS_VERIFY=1 and DOCKER_CERT_PATH, or cert_path", "podman": "cert_path"}
"""How each engine's connection gets certificates."""


class EngineAddress(NamedTuple):
    """The address of an engine, with its certificates or key."""

    url: str
    """`unix:///PATH`, `tcp://HOST:PORT` or `ssh://USER@HOST:PORT/PATH-OF-SOCKET`."""

    cert_path: str | None = None
    """Folder with ca.pem, cert.pem and key.pem for TLS over tcp://."""

    verifies: bool = True
    """Whether the engine's certificate is verified."""

    identity: str | None = None
    """Path of the key for an engine behind ssh; None for the ssh configuration's keys."""

    is_machine: bool = False
    """Whether podman has marked the ssh host as its own virtual machine, whose key it does not check."""

    def check_encrypted(self, program: str) -> None:
        """Raise AuthenticationError if others on the network could read the daemon's password on its way."""
        url = urlsplit(self.url)
        is_plain = url.scheme in PLAIN_SCHEMES and self.cert_path is None and self.verifies
        if is_plain and not is_loopback(url.hostname or ""):
            raise AuthenticationError(
                f"{self.url} is not encrypted: a password is not sent to another machine in the clear",
                hint=f"Use TLS ({TLS_BY[program]}) or ssh://, or allow it in a connection of your own: "
                "allow_plain_password: true",
            )


class SocketStream(Stream):
    """A plain socket."""

    def __init__(self, connection: socket.socket) -> None:
        self._connection = connection

    @property
    def socket(self) -> socket.socket:
        return self._connection

    def close(self) -> None:
        self._connection.close()


class Dialer(ABC):
    """Opens connections to one engine. Thread-safe."""

    @abstractmethod
    def dial(self, timeout: float) -> Stream:
        """Open a connection for HTTP within `timeout` seconds. Raises OSError or an OcattachError."""

    def close(self) -> None:  # noqa: B027 - most hold nothing between connections
        """Release what is held between connections. Closing twice is harmless."""


class UnixDialer(Dialer):
    """A socket file on this machine."""

    def __init__(self, path: str) -> None:
        self._path = path

    def dial(self, timeout: float) -> Stream:
        connection = socket.socket(socket.AF_UNIX)
        with on_error(connection.close):
            connection.settimeout(timeout)
            connection.connect(self._path)
        return SocketStream(connection)


class TCPDialer(Dialer):
    """A TCP port without TLS."""

    def __init__(self, host: str, port: int) -> None:
        self._address = host, port

    def dial(self, timeout: float) -> Stream:
        return SocketStream(self._connect(timeout))

    def _connect(self, timeout: float) -> socket.socket:
        connection = dial_tcp(*self._address, timeout)
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
        return connection


class TLSDialer(TCPDialer):
    """A TCP port with TLS."""

    def __init__(self, host: str, port: int, *, cert_path: str | None, verifies: bool) -> None:
        super().__init__(host, port)
        self._host = host
        self._cert_path = None if cert_path is None else Path(cert_path).expanduser()
        self._verifies = verifies

    def dial(self, timeout: float) -> Stream:
        try:
            context = client_context(self._cert_path, verifies=self._verifies)
        except OSError as error:
            raise ConfigurationError(
                f"Cannot use the certificates in {self._cert_path}: {error.strerror or error}",
                hint="The folder needs ca.pem, cert.pem and key.pem, as for DOCKER_CERT_PATH",
            ) from error
        connection = self._connect(timeout)
        with on_error(connection.close):
            return TLSStream(connection, context, self._host)


class SSHDialer(Dialer):
    """A command on an ssh host that connects to the engine there, run by our ssh transport."""

    def __init__(
        self,
        url: SplitResult,
        *,
        identity: str | None,
        program: str,
        ask: Callable[[], Ask],
        timeout: float,
        remembers: bool,
        is_machine: bool,
    ) -> None:
        user, host, port = split_authority(url.netloc)  # urlsplit makes an alias lower-case
        self._target = SSHTarget(host, user, port, identity_file=identity)
        self._argv = dial_command(program, unquote(url.path))
        self._ask = ask
        self._is_machine = is_machine
        self._timeout = timeout
        self._remembers = remembers
        self._host: CommandTransport | None = None
        self._dialling = threading.Lock()
        """Held while dialling: several threads may use an engine, but only one a transport."""

    def dial(self, timeout: float) -> Stream:  # noqa: ARG002 - the transport has its own timeout
        with self._dialling:
            if self._host is None:
                host = open_handler(
                    ConnectionSpec(target=self._target), ask=self._ask(), timeout=self._timeout
                )
                if not isinstance(host, CommandTransport):
                    raise TypeError(host)
                host.remembers = self._remembers
                host.checks_host_key = not (self._is_machine and is_loopback(self._target.host))
                self._host = host
            self._host.ask = self._ask()
            return self._host.open_stream(self._argv)

    def close(self) -> None:
        if self._host is not None:
            self._host.disconnect()
            self._host = None


def dial_command(program: str, socket_path: str) -> Sequence[str]:
    """Return the command of docker or podman that carries the engine's API over stdin and stdout.

    Docker's own connection helper runs it too (docker/cli: cli/connhelper/connhelper.go).
    """
    option = ADDRESS_OPTIONS[program]
    at = [option, f"unix://{socket_path}"] if socket_path.strip("/") else []
    return [program, *at, "system", "dial-stdio"]


def dialer(
    address: EngineAddress, *, program: str, ask: Callable[[], Ask], timeout: float, remembers: bool
) -> Dialer:
    """Return the dialer for an address, whose URL `check_engine` has validated."""
    url, identity = urlsplit(address.url), address.identity
    if url.scheme == "unix":
        return UnixDialer(address.url.removeprefix("unix://"))
    if url.scheme == "ssh":
        return SSHDialer(
            url,
            identity=identity,
            program=program,
            ask=ask,
            timeout=timeout,
            remembers=remembers,
            is_machine=address.is_machine,
        )
    if url.scheme == "https" or address.cert_path is not None or not address.verifies:
        port = url.port or TLS_PORT
        return TLSDialer(url.hostname or "", port, cert_path=address.cert_path, verifies=address.verifies)
    return TCPDialer(url.hostname or "", url.port or PLAIN_PORT)
