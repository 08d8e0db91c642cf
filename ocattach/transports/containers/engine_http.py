"""HTTP over our own streams, for the SDK's client."""

from collections.abc import Iterator, Mapping
from http.client import HTTPException
from typing import Any

from requests.adapters import HTTPAdapter
from urllib3.connection import HTTPConnection
from urllib3.connectionpool import HTTPConnectionPool

from ocattach.errors import ConnectionLostError, UnreachableError
from ocattach.execution import Stream
from ocattach.opencode.endpoint import MAX_ANSWER
from ocattach.transports.containers.engine_streams import Dialer

POOL_SIZE = 10
DIAL_SECONDS = 60


class EngineConnection(HTTPConnection):
    """One HTTP connection over a stream.

    Only `close` ends the stream: unlike a socket, a pump would not survive while an answer is still being read.
    """

    def __init__(self, *arguments: Any, dialer: Dialer, **settings: Any) -> None:
        super().__init__(*arguments, **settings)
        self._dialer = dialer
        self._stream: Stream | None = None
        self._answering = False
        self._is_spent = False

    def connect(self) -> None:
        seconds = self.timeout if isinstance(self.timeout, int | float) else DIAL_SECONDS
        self._stream = self._dialer.dial(seconds)
        self._is_spent = False
        self.sock = self._stream.socket
        self.sock.settimeout(seconds)

    @property
    def is_connected(self) -> bool:
        """Whether the connection can take another request."""
        return not self._is_spent and super().is_connected

    def getresponse(self) -> Any:
        """Return the answer. Raises ConnectionLostError with the far end's diagnosis, if it gave one."""
        self._answering = True
        try:
            return super().getresponse()
        except TimeoutError:
            raise
        except (OSError, HTTPException, ConnectionLostError) as error:
            diagnosis = self._stream.diagnosis() if self._stream is not None else ""
            if not diagnosis:
                raise
            raise ConnectionLostError(diagnosis) from error
        finally:
            self._answering = False

    def take_stream(self) -> Stream:
        """Return the stream, which the caller then closes."""
        if self._stream is None:
            raise ConnectionLostError("The connection to the engine is closed")
        stream, self._stream = self._stream, None
        self.sock = None
        return stream

    def close(self) -> None:
        """Close the connection, or mark it as spent while an answer begins, when http.client calls this."""
        if self._answering:
            self._is_spent = True
            return
        stream, self._stream = self._stream, None
        self.sock = None  # the stream closes it
        super().close()
        if stream is not None:
            stream.close()


class EnginePool(HTTPConnectionPool):
    """Connections to one engine, kept for further requests."""

    ConnectionCls: Any = EngineConnection


class LimitedBody:
    """The body of a response, as `requests` reads it."""

    def __init__(self, raw: Any) -> None:
        self._raw = raw

    def __getattr__(self, name: str) -> Any:
        return getattr(self._raw, name)

    def stream(self, *arguments: Any, **settings: Any) -> Iterator[bytes]:
        """Yield the pieces. Raises UnreachableError when there are too many."""
        length = 0
        for piece in self._raw.stream(*arguments, **settings):
            length += len(piece)
            if length > MAX_ANSWER:
                self._raw.close()
                raise UnreachableError(
                    f"The engine's response is longer than {MAX_ANSWER // 1024**2} MiB",
                    hint="Check that the address is that of an engine",
                )
            yield piece


class EngineAdapter(HTTPAdapter):
    """Sends the SDK's requests to the engine, whatever host is in the URL, and without a proxy."""

    def __init__(self, dialer: Dialer) -> None:
        super().__init__()
        self._dialer = dialer
        self._pool = EnginePool("engine", maxsize=POOL_SIZE, dialer=dialer)

    def send(self, request: Any, stream: bool = False, *arguments: Any, **settings: Any) -> Any:
        """Send a request; a response that is not streamed is limited in length."""
        response = super().send(request, stream, *arguments, **settings)
        if not stream:
            response.raw = LimitedBody(response.raw)
        return response

    def get_connection_with_tls_context(self, *_: Any, **__: Any) -> HTTPConnectionPool:
        return self._pool

    def get_connection(self, *_: Any, **__: Any) -> HTTPConnectionPool:
        """Return the pool; requests before 2.32 calls this method."""
        return self._pool

    def request_url(self, request: Any, proxies: Mapping[str, str] | None) -> str:  # noqa: ARG002
        return str(request.path_url)

    def close(self) -> None:
        super().close()
        self._pool.close()
        self._dialer.close()
