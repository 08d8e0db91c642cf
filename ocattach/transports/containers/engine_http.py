"""HTTP to an engine over streams of ours, put under the SDK's client."""

from collections.abc import Mapping
from http.client import HTTPException
from typing import Any

from requests.adapters import HTTPAdapter
from urllib3.connection import HTTPConnection
from urllib3.connectionpool import HTTPConnectionPool

from ocattach.errors import ConnectionLostError
from ocattach.execution import Stream
from ocattach.transports.containers.engine_streams import Dialer

POOL_SIZE = 10
DIAL_SECONDS = 60


class EngineConnection(HTTPConnection):
    """One HTTP connection over a stream.

    The stream ends with `close` alone: a plain socket lives on under an answer that is still being read, a pump
    would not.
    """

    def __init__(self, *arguments: Any, dialer: Dialer, **settings: Any) -> None:
        super().__init__(*arguments, **settings)
        self._dialer = dialer
        self._stream: Stream | None = None
        self._has_started = False
        self._answering = False
        self._is_spent = False

    def connect(self) -> None:
        seconds = self.timeout if isinstance(self.timeout, int | float) else DIAL_SECONDS
        self._stream = self._dialer.dial(seconds)
        self._has_started = self._is_spent = False
        self.sock = self._stream.socket
        self.sock.settimeout(seconds)

    @property
    def is_connected(self) -> bool:
        """Whether the next request can be sent here."""
        return not self._is_spent and super().is_connected

    def getresponse(self) -> Any:
        """The answer. Raises ConnectionLostError with what the far end said, where it said why it hung up."""
        self._answering = True
        try:
            if self._stream is not None and not self._has_started:
                self._dialer.start_output(self._stream)
                self._has_started = True
            return super().getresponse()
        except TimeoutError:
            raise
        except (OSError, HTTPException, ConnectionLostError) as error:
            said = self._stream.diagnosis() if self._stream is not None else ""
            if not said:
                raise
            raise ConnectionLostError(said) from error
        finally:
            self._answering = False

    def take_stream(self) -> Stream:
        """The stream, which is the caller's to close from now on."""
        if self._stream is None:
            raise ConnectionLostError("The connection to the engine is closed")
        stream, self._stream = self._stream, None
        self.sock = None
        return stream

    def close(self) -> None:
        """End the connection; while an answer begins, which is when http.client calls this, after it was read."""
        if self._answering:
            self._is_spent = True
            return
        stream, self._stream = self._stream, None
        self.sock = None  # it is the stream's
        super().close()
        if stream is not None:
            stream.close()


class EnginePool(HTTPConnectionPool):
    """Connections to one engine, kept for the next request."""

    ConnectionCls: Any = EngineConnection


class EngineAdapter(HTTPAdapter):
    """Carries the SDK's requests to the engine, whatever host their URLs name; no proxy comes between."""

    def __init__(self, dialer: Dialer) -> None:
        super().__init__()
        self._dialer = dialer
        self._pool = EnginePool("engine", maxsize=POOL_SIZE, dialer=dialer)

    def get_connection_with_tls_context(self, *_: Any, **__: Any) -> HTTPConnectionPool:
        return self._pool

    def get_connection(self, *_: Any, **__: Any) -> HTTPConnectionPool:
        """The same under the name that requests before 2.32 calls."""
        return self._pool

    def request_url(self, request: Any, proxies: Mapping[str, str] | None) -> str:  # noqa: ARG002
        return str(request.path_url)

    def close(self) -> None:
        super().close()
        self._pool.close()
        self._dialer.close()
