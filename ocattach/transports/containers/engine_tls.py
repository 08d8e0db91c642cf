"""A connection to an engine through TLS, as a stream that an event loop can wait for."""

import socket
import ssl
import threading
from contextlib import suppress
from pathlib import Path

from ocattach.execution import Stream
from ocattach.transports.pump import CHUNK, Pump, shut_down


def client_context(folder: Path | None, *, verifies: bool) -> ssl.SSLContext:
    """What the docker command line makes of a folder: ca.pem, else the system's authorities; cert.pem and key.pem.

    Raises OSError that names the file, and ssl.SSLError for one that holds something else.
    """
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    if not verifies:
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
    authority = folder / "ca.pem" if folder else None
    if authority and authority.exists():
        context.load_verify_locations(authority)
    else:
        context.load_default_certs()
    if folder and (folder / "cert.pem").exists():
        context.load_cert_chain(folder / "cert.pem", folder / "key.pem")
    return context


class TLSStream(Stream):
    """A TCP connection that speaks TLS, made a plain socket by a pump.

    The pump's two threads share the session, which is one thread's at a time; neither holds it while it waits.
    """

    def __init__(self, connection: socket.socket, context: ssl.SSLContext, host: str) -> None:
        """Shake hands within the connection's timeout. Raises OSError, ssl.SSLError among them; closes nothing then."""
        self._connection = connection
        self._incoming, self._outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
        self._session = context.wrap_bio(self._incoming, self._outgoing, server_hostname=host)
        self._session_lock, self._send_lock = threading.Lock(), threading.Lock()
        self._failure = ""
        self._shake_hands()
        connection.settimeout(None)
        self._pump = Pump(
            receive=self._receive,
            send=self._send,
            end_input=self._end_input,
            hang_up=lambda: shut_down(connection, socket.SHUT_RDWR),
        )

    def _shake_hands(self) -> None:
        while True:
            try:
                self._session.do_handshake()
            except ssl.SSLWantReadError:
                self._connection.sendall(self._outgoing.read())
                self._take_in()
            except ssl.SSLError:
                self._connection.sendall(self._outgoing.read())  # the alert that tells the engine why
                raise
            else:
                self._connection.sendall(self._outgoing.read())
                return

    def _take_in(self) -> None:
        data = self._connection.recv(CHUNK)
        with self._session_lock:
            if data:
                self._incoming.write(data)
            else:
                self._incoming.write_eof()

    def _receive(self) -> bytes:
        while True:
            with self._session_lock:
                try:
                    return self._session.read(CHUNK)
                except ssl.SSLWantReadError:
                    pass
                except ssl.SSLZeroReturnError:
                    return b""
                except ssl.SSLError as error:
                    self._failure = error.reason or str(error)
                    raise
            self._take_in()

    def _send(self, data: bytes) -> None:
        with self._send_lock:
            with self._session_lock:
                self._session.write(data)
                encrypted = self._outgoing.read()
            self._connection.sendall(encrypted)

    def _end_input(self) -> None:
        """Tell the engine that no more comes; what it still says is read on (RFC 8446, 6.1)."""
        with self._send_lock:
            with self._session_lock:
                with suppress(
                    ssl.SSLError
                ):  # it also wants the engine's own goodbye, which comes at its time
                    self._session.unwrap()
                encrypted = self._outgoing.read()
            self._connection.sendall(encrypted)

    @property
    def socket(self) -> socket.socket:
        return self._pump.socket

    def diagnosis(self) -> str:
        return self._failure

    def close(self) -> None:
        self._pump.close()
        self._connection.close()
