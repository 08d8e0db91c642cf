"""Connections to an engine, each as a stream: by unix socket, TCP, TLS, or a command on an ssh host."""

import socket
import threading
from abc import ABC, abstractmethod
from collections.abc import Sequence
from pathlib import Path
from urllib.parse import SplitResult, unquote, urlsplit

from ocattach.config.spec import ConnectionSpec
from ocattach.config.targets.ssh import SSHTarget
from ocattach.errors import ConfigurationError, ConnectionLostError
from ocattach.execution import Stream
from ocattach.transports import open_handler
from ocattach.transports.base import Ask
from ocattach.transports.command import CommandTransport
from ocattach.transports.containers.engine_tls import TLSStream, client_context
from ocattach.transports.tcp import dial_tcp

PLAIN_PORT, TLS_PORT = 2375, 2376
"""Of engines that listen on TCP, as the docker command line assumes (docker/cli: opts/hosts.go)."""

START = b"ocattach-engine\n"
"""Said before an engine's first byte: what stands before it came from the login shell's start-up files."""


ADDRESS_OPTIONS = {"docker": "--host", "podman": "--url"}
"""How each command line is told where its engine listens."""


class SocketStream(Stream):
    """A socket as it is."""

    def __init__(self, connection: socket.socket) -> None:
        self._connection = connection

    @property
    def socket(self) -> socket.socket:
        return self._connection

    def close(self) -> None:
        self._connection.close()


class Dialer(ABC):
    """Opens connections to one engine, for several threads at once."""

    @abstractmethod
    def dial(self, timeout: float) -> Stream:
        """A new connection, ready to carry HTTP, within so many seconds.

        Raises OSError, or an OcattachError where there is more to say.
        """

    def start_output(self, stream: Stream) -> None:  # noqa: B027 - most have nothing before the answer
        """Read what stands before the engine's first byte; called once on each stream, when an answer is awaited."""

    def close(self) -> None:  # noqa: B027 - most hold nothing between connections
        """Let go of what is held between connections. Closing twice is harmless."""


class UnixDialer(Dialer):
    """A socket file on this machine."""

    def __init__(self, path: str) -> None:
        self._path = path

    def dial(self, timeout: float) -> Stream:
        connection = socket.socket(socket.AF_UNIX)
        try:
            connection.settimeout(timeout)
            connection.connect(self._path)
        except BaseException:
            connection.close()
            raise
        return SocketStream(connection)


class TCPDialer(Dialer):
    """A port, in the clear."""

    def __init__(self, host: str, port: int) -> None:
        self._address = host, port

    def dial(self, timeout: float) -> Stream:
        return SocketStream(self._connect(timeout))

    def _connect(self, timeout: float) -> socket.socket:
        connection = dial_tcp(*self._address, timeout)
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
        return connection


class TLSDialer(TCPDialer):
    """A port behind TLS."""

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
                f"The certificates in {self._cert_path} cannot be used: {error.strerror or error}",
                hint="It should have ca.pem, cert.pem and key.pem, as DOCKER_CERT_PATH",
            ) from error
        connection = self._connect(timeout)
        try:
            return TLSStream(connection, context, self._host)
        except BaseException:
            connection.close()
            raise


class SSHDialer(Dialer):
    """A command on an ssh host that leads to the engine there, by our own ssh transport: its keys, its questions."""

    def __init__(
        self,
        url: SplitResult,
        *,
        identity: str | None,
        program: str,
        ask: Ask,
        timeout: float,
        remembers: bool,
    ) -> None:
        user = url.username and unquote(url.username)
        self._target = SSHTarget(url.hostname or "", user, url.port, identity_file=identity)
        self._argv = dial_command(program, unquote(url.path))
        self._ask = ask
        self._timeout = timeout
        self._remembers = remembers
        self._host: CommandTransport | None = None
        self._dialling = threading.Lock()
        """Several threads may ask one engine, and a transport is for one thread."""

    def dial(self, timeout: float) -> Stream:  # noqa: ARG002 - it has a time of its own for questions
        with self._dialling:
            if self._host is None:
                self._host = self._open_host()
            return self._host.open_stream(self._argv)

    def _open_host(self) -> CommandTransport:
        host = open_handler(ConnectionSpec(target=self._target), ask=self._ask, timeout=self._timeout)
        if not isinstance(host, CommandTransport):
            raise TypeError(host)
        host.remembers = self._remembers
        return host

    def start_output(self, stream: Stream) -> None:
        seen = bytearray()
        while not seen.endswith(START):
            data = stream.socket.recv(1)
            if not data:
                raise ConnectionLostError("The command on the ssh host ended")
            seen += stream.decode(data)
            del seen[: -len(START)]

    def close(self) -> None:
        if self._host is not None:
            self._host.disconnect()
            self._host = None


def dial_command(program: str, socket_path: str) -> Sequence[str]:
    """The command that carries the engine's API over its stdin and stdout; docker and podman both have it.

    As docker's own connection helper does it (docker/cli: cli/connhelper/connhelper.go).
    """
    option = ADDRESS_OPTIONS[program]
    at = [option, f"unix://{socket_path}"] if socket_path.strip("/") else []
    script = f'echo {START.decode().strip()}; exec "$@"'
    return ["sh", "-c", script, "sh", program, *at, "system", "dial-stdio"]


def dialer(
    address: str,
    *,
    cert_path: str | None,
    verifies: bool,
    identity: str | None,
    program: str,
    ask: Ask,
    timeout: float,
    remembers: bool = True,
) -> Dialer:
    """The way to the engine at an address, which has been checked (`check_engine`)."""
    url = urlsplit(address)
    if url.scheme == "unix":
        return UnixDialer(address.removeprefix("unix://"))
    if url.scheme == "ssh":
        return SSHDialer(
            url, identity=identity, program=program, ask=ask, timeout=timeout, remembers=remembers
        )
    if url.scheme == "https" or cert_path is not None or not verifies:
        port = url.port or TLS_PORT
        return TLSDialer(url.hostname or "", port, cert_path=cert_path, verifies=verifies)
    return TCPDialer(url.hostname or "", url.port or PLAIN_PORT)
