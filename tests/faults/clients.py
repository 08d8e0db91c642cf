"""Programs that use a daemon while what carries them fails: they send prompts, and read events. None tries twice."""

import http.client
import json
import socket
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass

from tests.faults.ledger import SILENCE, Ledger, Prompt

ANSWER_SECONDS = 200
"""How long a sender waits for its answer; longer than anybody should have to."""

SILENT_SECONDS = 600
"""How long a stream may say nothing before its reader gives up: the reader must not find out by itself."""

ANSWERED_EVERY = 8
"""One prompt of so many is answered by the model, the others are only kept: the machine is needed for the rest."""


class Way:
    """How clients reach a daemon, as of now: a new link has another port, a new daemon may have another password."""

    def __init__(self, dial: Callable[[float], socket.socket], authorization: Callable[[], str]) -> None:
        """`dial` takes the seconds after which a silent connection is given up."""
        self.dial = dial
        self.authorization = authorization

    def connection(self, seconds: float) -> http.client.HTTPConnection:
        """A new connection."""
        connection = http.client.HTTPConnection("127.0.0.1", timeout=seconds)
        connection.auto_open = 0  # it would go elsewhere
        connection.sock = self.dial(seconds)
        connection.port = connection.sock.getpeername()[1]  # for the Host header
        return connection

    def headers(self) -> dict[str, str]:
        """What every request needs."""
        return {"Content-Type": "application/json", "Authorization": self.authorization()}

    def request(
        self, method: str, path: str, body: object = None, *, seconds: float = 30
    ) -> tuple[int, bytes]:
        """One request on a connection of its own: status and body."""
        connection = self.connection(seconds)
        try:
            content = None if body is None else json.dumps(body).encode()
            connection.request(method, path, content, self.headers())
            response = connection.getresponse()
            return response.status, response.read()
        finally:
            connection.close()


class Sender:
    """Sends one prompt after another to a session of its own, each when the one before was answered."""

    def __init__(
        self, way: Way, ledger: Ledger, session: str, *, interval: float, keeps_connection: bool
    ) -> None:
        self.session = session
        self._way = way
        self._ledger = ledger
        self._interval = interval
        self._keeps = keeps_connection
        self._connection: http.client.HTTPConnection | None = None
        self._count = 0
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._work, name=f"sender to {session}", daemon=True)
        self._thread.start()

    def ask_to_stop(self) -> None:
        """Send no more; what is under way is waited for by `join`."""
        self._stopping.set()

    def join(self) -> None:
        """Return when the last prompt has its answer."""
        self._thread.join(ANSWER_SECONDS + 10)
        if self._thread.is_alive():
            raise TimeoutError(f"{self._thread.name} got neither an answer nor an error")

    def _work(self) -> None:
        while not self._stopping.wait(self._interval):
            self._count += 1
            self._send(self._ledger.new(self.session))
        self._close()

    def _send(self, prompt: Prompt) -> None:
        parts = [{"type": "text", "text": prompt.text}]
        body = {"parts": parts, "noReply": self._count % ANSWERED_EVERY != 0}
        try:
            if self._connection is None or self._connection.sock is None:
                self._connection = self._way.connection(ANSWER_SECONDS)
            path = f"/session/{prompt.session}/prompt_async"
            self._connection.request("POST", path, json.dumps(body).encode(), self._way.headers())
            response = self._connection.getresponse()
            response.read()
        except TimeoutError:
            prompt.failure = SILENCE
            self._close()
        except (OSError, http.client.HTTPException) as error:
            prompt.failure = type(error).__name__
            self._close()
        else:
            prompt.answered = time.monotonic()
            prompt.status = response.status
            if not self._keeps:
                self._close()
        self._ledger.read(self._read())

    def _read(self) -> str:
        """Read the session; what went wrong, or nothing."""
        try:
            status, _ = self._way.request("GET", f"/session/{self.session}", seconds=ANSWER_SECONDS)
        except (OSError, http.client.HTTPException) as error:
            return type(error).__name__
        return "" if status == http.client.OK else f"HTTP {status}"

    def _close(self) -> None:
        if self._connection is not None:
            self._connection.close()
            self._connection = None


@dataclass
class Stream:
    """One event stream, by time.monotonic."""

    up: float
    ended: float | None = None
    why: str = ""


class EventReader:
    """Reads /global/event, and again as soon as it ends. It never looks at the clock: who notices is the link."""

    def __init__(self, way: Way) -> None:
        self.streams: list[Stream] = []
        self._way = way
        self._open: socket.socket | None = None
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._work, name="event reader", daemon=True)
        self._thread.start()

    def ended_after(self, moment: float) -> float | None:
        """When a stream ended for the first time after a moment."""
        times = [stream.ended for stream in self.streams if stream.ended and stream.ended >= moment]
        return min(times, default=None)

    def is_up(self) -> bool:
        """Whether a stream is open, and has said so."""
        return bool(self.streams) and self.streams[-1].ended is None

    def stop(self) -> None:
        """Read no more."""
        self._stopping.set()
        if self._open is not None:
            with suppress(OSError):
                self._open.shutdown(socket.SHUT_RDWR)
        self._thread.join(SILENT_SECONDS)

    def _work(self) -> None:
        while not self._stopping.wait(0.02):
            why = "end of file"
            try:
                self._read()
            except (OSError, http.client.HTTPException) as error:
                why = type(error).__name__
            if self.is_up():
                self.streams[-1].ended, self.streams[-1].why = time.monotonic(), why

    def _read(self) -> None:
        connection = self._way.connection(SILENT_SECONDS)
        # With `Connection: close` the response has the socket, and http.client forgets it.
        self._open = opened = connection.sock
        try:
            connection.request("GET", "/global/event", headers=self._way.headers())
            response = connection.getresponse()
            if response.status == http.client.OK and response.readline():
                self.streams.append(Stream(time.monotonic()))
                while response.readline():
                    pass
        finally:
            connection.close()
            opened.close()
