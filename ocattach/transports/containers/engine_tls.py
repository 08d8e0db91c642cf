"""A TLS connection to an engine, as a stream with a plain socket for the event loop."""

import socket
import ssl
import threading
from contextlib import suppress
from pathlib import Path

from ocattach.execution import Stream
from ocattach.transports.pump import CHUNK, Pump, shut_down


def client_context(folder: Path | None, *, verifies: bool) -> ssl.SSLContext:
    """Return a TLS context as docker does: ca.pem of the folder or the system's CAs, and cert.pem with key.pem.

    Raises OSError with the file's name, and ssl.SSLError for a malformed file.
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
    """A TLS connection with a pump to a plain socket.

    The pump's two threads share the session under a lock; neither holds the lock while it waits.
    """

    def __init__(self, connection: socket.socket, context: ssl.SSLContext, host: str) -> None:
        """Shake hands within the connection's timeout. On OSError the caller closes the connection."""
        self._connection = connection
        self._incoming, self._outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
        self._session = context.wrap_bio(self._incoming, self._outgoing, server_hostname=host)
        self._session_lock, self._send_lock = threading.Lock(), threading.Lock()
        self._failure = ""
        self._unread = b""
        """Decrypted data that `_end_input` had to read."""

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
                self._connection.sendall(self._outgoing.read())  # the alert with the reason
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
                unread, self._unread = self._unread, b""
                try:
                    return unread or self._session.read(CHUNK)
                except ssl.SSLWantReadError:
                    pass
                except ssl.SSLZeroReturnError:
                    return b""
                except ssl.SSLError as error:
                    self._failure = getattr(error, "reason", None) or str(error)
                    raise
            self._take_in()

    def _send(self, data: bytes) -> None:
        with self._send_lock:
            with self._session_lock:
                self._session.write(data)
                encrypted = self._outgoing.read()
            self._connection.sendall(encrypted)

    def _end_input(self) -> None:
        """Send close_notify; data from the engine can still be read (RFC 8446, 6.1).

        `unwrap` also expects the engine's close_notify, which comes later. Data in its place would end the session
        (OpenSSL's "application data after close notify"), so all that has arrived is read before.
        """
        with self._send_lock:
            with self._session_lock:
                with suppress(ssl.SSLError):
                    while data := self._session.read(CHUNK):
                        self._unread += data
                with suppress(ssl.SSLError):
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
