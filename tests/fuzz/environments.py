"""What environments and clients of the local port send: their bytes are anybody's."""

import io
import json
import socket
import tempfile
from asyncio import AbstractEventLoop, Protocol, new_event_loop, sleep
from collections.abc import Callable, Iterator
from contextlib import suppress
from functools import cache
from http.client import HTTPMessage, HTTPResponse
from pathlib import Path
from typing import Any, cast

from ocattach.cli.amounts import ago, money
from ocattach.cli.terminal import escape
from ocattach.daemon.lifecycle import start_daemon, stop_daemon
from ocattach.daemon.logs import read_logs
from ocattach.daemon.probe import probe
from ocattach.daemon.script import DaemonSettings
from ocattach.errors import ConnectionLostError, OcattachError
from ocattach.execution import CommandResult, Stream
from ocattach.opencode.api import DaemonClient, read_event, read_version, request_error
from ocattach.opencode.endpoint import Endpoint, Response, milliseconds, read_answer
from ocattach.opencode.events import (
    CONNECTED,
    RUN_CHANGES,
    RUN_ERROR,
    RUN_TEXT,
    Event,
    read_events,
    session_of,
)
from ocattach.opencode.pending import pending
from ocattach.opencode.prompts import PromptClient
from ocattach.opencode.recovery import read_prompt
from ocattach.opencode.sessions import SessionClient, is_session_id
from ocattach.opencode.snapshot import DaemonSnapshot, snapshot
from ocattach.opencode.tui.missed import MissedState
from ocattach.opencode.tui.resumer import encode
from ocattach.opencode.tui.seen import Seen
from ocattach.sessions.examination import examine
from ocattach.sessions.index.rows import Wanted
from ocattach.sessions.index.store import Index
from ocattach.sessions.messages import Failure
from ocattach.sessions.record import Session
from ocattach.sessions.transcript import Transcript
from ocattach.transports.containers.exec_stream import ExecDecoder
from ocattach.transports.kubernetes.cluster import FORBIDDEN, status_message
from ocattach.transports.kubernetes.status import exit_code
from ocattach.tunnel.event_stream import EventStream
from ocattach.tunnel.frames import PROTOCOL_VERSION
from ocattach.tunnel.gate import Gate, OpenGate, Upstream
from ocattach.tunnel.multiplexer import Multiplexer
from ocattach.tunnel.request import RefusedError, Request
from ocattach.tunnel.requests import RequestReader

PIECES = (1, 7, 64, 4096)
"""Sizes of what arrives at once; the length of an input chooses one."""

KINDS = (
    CONNECTED,
    RUN_ERROR,
    *RUN_TEXT,
    *RUN_CHANGES,
    "session.created",
    "session.updated",
    "session.deleted",
)
MOST_REQUESTS = 200
BANNER = b"\0ocattach-relay %d\n" % PROTOCOL_VERSION


def pieces(data: bytes) -> Iterator[bytes]:
    """The data, as it could arrive."""
    size = PIECES[len(data) % len(PIECES)]
    return (data[start : start + size] for start in range(0, len(data), size))


class CannedClient(DaemonClient):
    """A daemon that answers every request alike."""

    def __init__(self, body: bytes, status: int = 200) -> None:
        super().__init__("http://127.0.0.1:1")
        self._answer = Response(status, "application/json", body)

    def request(self, method: str, path: str, body: Any = None) -> Response:  # noqa: ARG002
        """Return the answer."""
        return self._answer

    def stream(self, path: str, read: Callable[[HTTPResponse], None], *, silence: float) -> None:  # noqa: ARG002
        """Pass the body to `read`."""
        read(cast("HTTPResponse", EventResponse(self._answer.body)))


class EventResponse(io.BytesIO):
    """A response that is a stream of events."""

    status = 200
    headers = HTTPMessage()


EventResponse.headers["Content-Type"] = "text/event-stream"


def attempt(call: Callable[[], object]) -> object:
    """Call something; what it returns can be printed as JSON, and an error of ours is as good."""
    try:
        return call()
    except OcattachError as error:
        json.dumps(error.to_json()).encode()
        return error.headline


@cache
def index() -> Index:
    """An index for all inputs."""
    return Index(Path(tempfile.mkdtemp(prefix="octfuzz"), "sessions.db"))


def api(data: bytes) -> None:
    """The JSON of every request that we send."""
    client = CannedClient(data)
    sessions, prompts = SessionClient(client), PromptClient(client)
    content = client.request("GET", "/").json()
    read = Session.from_api(content, environment="e")
    attempt(lambda: read_version(client.request("GET", "/")))
    attempt(client.home)
    attempt(lambda: client.real_directory("/app"))
    attempt(lambda: client.sessions("/app"))
    attempt(lambda: sessions.create("/app", metadata={}))
    attempt(lambda: sessions.statuses(None))
    attempt(lambda: prompts.models(None))
    attempt(lambda: prompts.configured_model(None, "build"))
    attempt(lambda: read_prompt(data))
    escape(request_error(400, content).message).encode()
    seen = attempt(lambda: snapshot(healthy(data), [None, "~/a"]))
    if isinstance(seen, DaemonSnapshot):
        again = DaemonSnapshot.from_json(json.loads(json.dumps(seen.to_json(), allow_nan=False)))
        store([Session.from_api(each, environment="e") for each in again.sessions])
    attempt(lambda: [request.wanted.encode() for request, _ in pending(healthy(data), ["/app"])])
    shown = examine_all(healthy(data), read or Session(id="ses_1", environment="e"))
    json.dumps(shown, allow_nan=False).encode()
    store([read])
    opened = Seen(lists={"/session": None}, opened={"ses_1": None})
    attempt(lambda: [encode(each, bare=False) for each in MissedState(client, opened, 1.0).events()])


class HealthyClient(CannedClient):
    """A daemon whose version is fine."""

    def version(self) -> str:
        """Return a version."""
        return "1.18.33"


def healthy(data: bytes) -> HealthyClient:
    """A daemon that answers everything but its health so."""
    return HealthyClient(data)


def examine_all(client: DaemonClient, session: Session) -> object:
    """What `session show` says."""

    def show() -> object:
        seen = examine(client, session)
        found = [[finding.code, finding.message, finding.hint] for finding in seen.findings]
        texts = [[turn.text, turn.tools, turn.cost, turn.tokens.total] for turn in seen.turns]
        return [found, texts, dict(seen.models), seen.cost, f"{seen.tokens.total:,}", money(seen.cost)]

    return attempt(show)


def store(sessions: list[Session | None]) -> None:
    """Sessions fit the index, and its sums are right."""
    kept = [each for each in sessions if each is not None]
    for each in kept:
        if not is_session_id(each.id):
            raise AssertionError(each.id)
        ago(each.updated / 1000).encode()
        escape(each.title + each.origin + each.directory).encode()
    index().put(kept, "e", 1.0)
    index().totals(Wanted())
    index().forget([each.id for each in kept], "e")


def events(data: bytes) -> None:
    """The stream of events, as each of its readers takes it."""
    client = CannedClient(data)
    transcript = Transcript("msg_1")

    def receive(event: Event) -> bool:
        session_of(event.properties)
        Session.from_api(event.properties.get("info"), environment="e")
        Failure.from_api(event.properties.get("error"))
        transcript.receive(event.properties).encode(errors="surrogateescape")
        event.sent_at(1e12)
        return True

    attempt(lambda: read_events(client, KINDS, receive, silence=1))
    attempt(lambda: read_event(cast("HTTPResponse", EventResponse(data))))
    Seen().events(data)
    stream = EventStream(b"GET /event HTTP/1.1\r\n\r\n")
    with suppress(ConnectionLostError):
        for piece in pieces(data):
            stream.receive(piece).encode()


def scripts(data: bytes) -> None:
    """The report of each script that runs in an environment."""

    def run(*_: object, **__: object) -> CommandResult:
        return CommandResult(0, data, data)

    settings = DaemonSettings(opencode="/opencode")
    attempt(lambda: probe(run, DaemonSettings(), timeout=1).daemon(None))
    attempt(lambda: start_daemon(run, settings, password="", timeout=1))
    attempt(lambda: stop_daemon(run, pid=1))
    attempt(lambda: read_logs(run, last=1, timeout=1))


class NoStream(Stream):
    """A stream whose bytes are given to the multiplexer by hand."""

    @property
    def socket(self) -> socket.socket:
        """Not called."""
        raise AssertionError

    def close(self) -> None:
        """Close nothing."""


@cache
def loop() -> AbstractEventLoop:
    """A loop for all inputs."""
    return new_event_loop()


class Sink:
    """The writing side of a stream."""

    def set_write_buffer_limits(self, **_: object) -> None:
        """Take no note."""

    def is_closing(self) -> bool:
        """Return False."""
        return False

    def write(self, data: bytes) -> None:
        """Drop the data."""

    def abort(self) -> None:
        """End nothing."""


def frames(data: bytes) -> None:
    """The frames of a relay, with connections through it."""

    async def receive() -> None:
        multiplexer = Multiplexer(NoStream())
        multiplexer.connection_made(cast("Any", Sink()))
        multiplexer.data_received(BANNER if len(data) % 3 else b"noise")
        opening = [running.create_task(multiplexer.open(Protocol(), "127.0.0.1", port)) for port in (1, 2)]
        await sleep(0)
        for piece in pieces(data):
            multiplexer.data_received(piece)
        multiplexer.eof_received()
        for each in opening:
            with suppress(OcattachError, OSError):
                await each

    running = loop()
    running.run_until_complete(receive())


def exec_frames(data: bytes) -> None:
    """The multiplexed stream of a container engine."""
    decoder = ExecDecoder(stderr_limit=64)
    with suppress(ConnectionLostError):
        for piece in pieces(data):
            decoder.feed(piece)
    if len(decoder.stderr) > 64:
        raise AssertionError(decoder.stderr)


def cluster(data: bytes) -> None:
    """The Status object of a Kubernetes command, and of a refused request."""
    attempt(lambda: exit_code(data, "the pod"))
    message = status_message(data)
    FORBIDDEN.search(message)


def gate(data: bytes) -> None:
    """The requests of clients of the local port."""
    keeper, reader = Gate("Basic b2NhdHRhY2g6c2VjcmV0", authorization="Basic YTpi"), RequestReader()
    keeper.port = 4096
    with suppress(RefusedError):
        for piece in pieces(data):
            reader.receive(piece)
            for _ in range(MOST_REQUESTS):
                taken = reader.take()
                if taken is None:
                    break
                if isinstance(taken, Request):
                    pass_gate(keeper, taken)
            reader.answered(upgraded=len(data) % 5 == 0)


def pass_gate(keeper: Gate, request: Request) -> None:
    """Check one request. What is sent on has the daemon's credential, and no other."""
    OpenGate().encode(request, Upstream())
    keeper.check(request)
    head = keeper.encode(request, Upstream(headers=((b"X-A", b"b"),)))
    lines = head.removesuffix(b"\r\n\r\n").split(b"\r\n")
    credentials = [line for line in lines[1:] if line.lower().startswith(b"authorization:")]
    if credentials != [b"Authorization: Basic YTpi"] or b"auth_token=b2NhdHRhY2g6c2VjcmV0" in lines[0]:
        raise AssertionError(lines)


class CannedEndpoint(Endpoint):
    """An endpoint whose server sends these bytes and hangs up."""

    def __init__(self, data: bytes) -> None:
        super().__init__("http://127.0.0.1:1")
        self._data = data

    def open_socket(self, timeout: float) -> socket.socket:
        """Return the socket of the client."""
        ours, theirs = socket.socketpair()
        theirs.sendall(self._data)
        theirs.shutdown(socket.SHUT_WR)
        theirs.close()
        ours.settimeout(timeout)
        return ours


def http(data: bytes) -> None:
    """Heads and bodies of HTTP."""

    def exchange() -> object:
        answer = CannedEndpoint(data).exchange("GET", "/", {}, timeout=1, read=read_answer)
        milliseconds(answer.date)
        return answer.json()

    attempt(exchange)


def dates(data: bytes) -> None:
    """The Date header."""
    milliseconds(data.decode("latin-1"))


ENVIRONMENT_TARGETS = (api, events, scripts, frames, exec_frames, cluster, gate, http, dates)
