"""A daemon that sends events without end costs a link neither its disk nor its memory, and odd ones end no thread."""

import itertools
import json
import socket
import time
from collections.abc import Callable, Iterator
from itertools import cycle
from pathlib import Path
from typing import Any

import pytest

from ocattach.config.spec import ConnectionSpec
from ocattach.link.sessions.listener import EVENTS_PER_SECOND, SessionEventListener
from ocattach.opencode.api import DaemonClient
from ocattach.sessions.index.rows import Wanted
from ocattach.sessions.index.store import Index
from tests.hostile.injection import ODD, SECRET, calls, injected
from tests.rigs.http_servers import Behaviour, Server, serve
from tests.rigs.odd_daemon import VERSION, session
from tests.rigs.waiting import wait_until

pytestmark = pytest.mark.thorough

FLOOD_SECONDS = 4
HEAD = b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nConnection: close\r\n\r\n"
NOTHING = (
    b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 2\r\nConnection: close\r\n\r\n[]"
)
HEALTH = json.dumps({"healthy": True, "version": VERSION}).encode()


def event(kind: str, info: object) -> bytes:
    """An event, as a daemon sends it."""
    payload = {"type": kind, "properties": {"info": info}}
    return b"data: %b\n\n" % json.dumps({"payload": payload}, separators=(",", ":")).encode()


CONNECTED = event("server.connected", None)


def with_events(events: Callable[[Server], Iterator[bytes]]) -> Behaviour:
    """A daemon without sessions that sends these events."""

    def respond(connection: socket.socket, server: Server) -> None:
        if "/global/event" not in server.heads[-1]:
            is_health = "/global/health" in server.heads[-1]
            connection.sendall(
                NOTHING.replace(b": 2", b": %d" % len(HEALTH))[:-2] + HEALTH if is_health else NOTHING
            )
            return
        connection.sendall(HEAD + CONNECTED)
        for each in events(server):
            connection.sendall(each)

    return respond


class Access:
    """The connection of a link to a server."""

    def __init__(self, server: Server) -> None:
        self._url = server.url

    def is_up(self) -> bool:
        return True

    def reject(self, reason: str) -> None:
        raise AssertionError(reason)

    def open_client(self, timeout: float, *, counts_as_loss: bool) -> DaemonClient:  # noqa: ARG002
        return DaemonClient(self._url, timeout=timeout)


@pytest.fixture
def file(workdir: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The index."""
    monkeypatch.setenv("OCATTACH_STATE_DIR", str(workdir))
    monkeypatch.setenv("OCATTACH_CONFIG_DIR", str(workdir / "config"))
    return workdir / "sessions.db"


def listening(server: Server, file: Path) -> SessionEventListener:
    """A listener of a link, which listens to the server."""
    listener = SessionEventListener(Access(server), lambda: Index(file))
    listener.add_connection(ConnectionSpec.from_entry({"transport": "local"}), None)
    listener.resume(VERSION)
    return listener


def size(file: Path) -> int:
    """The bytes of the index and of the files beside it."""
    return sum(each.stat().st_size for each in file.parent.glob("sessions.db*"))


@pytest.mark.parametrize("kind", ["session.created", "session.updated", "session.deleted"])
def test_session_events_without_end_fill_no_disk(file: Path, kind: str) -> None:
    def flood(server: Server) -> Iterator[bytes]:
        for number in itertools.count():
            yield event(kind, session(id=f"ses_{number}", title="x" * 300, directory="/" + "y" * 999))
            if server.gone.is_set():
                return

    with serve(with_events(flood)) as server:
        listener = listening(server, file)
        time.sleep(FLOOD_SECONDS)
        server.gone.set()
        listener.end()
        listener.join()

    with Index(file) as index:
        kept = index.latest(Wanted(children=True), limit=None)
    assert len(kept) <= (FLOOD_SECONDS + 2) * EVENTS_PER_SECOND
    assert size(file) < 20 * 1024 * 1024
    assert (kind == "session.deleted") == (not kept)


ODD_EVENTS: tuple[Any, ...] = (
    session(id="ses_\ud800"),
    session(id="ses_a", title="\udfff"),
    session(id="ses_b", **{"time.updated": 2**70}),
    session(id="ses_c", **{"tokens.input": 2**63}),
    {"id": "ses_d", "time": "now", "tokens": [1], "model": 7},
    [1],
    None,
)


def test_after_odd_events_others_are_still_kept(file: Path) -> None:
    def events(server: Server) -> Iterator[bytes]:
        for info in ODD_EVENTS:
            yield event("session.updated", info)
        yield (b'data: {\n\ndata: {"payload":{"type":"session.updated"}}\n\n\xff\x00\ndata: 1\n\n')
        yield b'data: {"payload":{"type":"session.updated","properties":{"info":' + b"[" * 9999 + b"\n\n"
        yield event("session.updated", session(id="ses_good"))
        server.gone.wait()

    with serve(with_events(events)) as server:
        listener = listening(server, file)
        wait_until(lambda: "ses_good" in ids(file), "the session")
        listener.end()
        server.gone.set()
        listener.join()
    assert ids(file) == {"ses_a", "ses_b", "ses_c", "ses_d", "ses_good"}


def ids(file: Path) -> set[str]:
    """The sessions in the index."""
    with Index(file) as index:
        return {each.session.id for each in index.latest(Wanted(children=True), limit=None)}


@pytest.mark.parametrize("thread", ["ocattach-listener", "ocattach-tagger", "ocattach-feed"])
def test_a_thread_goes_on_whatever_is_raised_wherever(
    file: Path, thread: str, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr("ocattach.link.sessions.listener.FIRST_PAUSE", 0.01)
    monkeypatch.setattr("ocattach.link.sessions.index_writer.WRITE_SECONDS", 0.01)
    for name in ("PAUSE_SECONDS", "SETTLED_SECONDS"):
        monkeypatch.setattr(f"ocattach.link.sessions.feed.{name}", 0.01)

    def events(server: Server) -> Iterator[bytes]:
        while not server.gone.wait(0.02):
            yield event("session.updated", session(id="ses_good"))

    def listen() -> None:
        file.unlink(missing_ok=True)
        with serve(with_events(events)) as server:
            listener = listening(server, file)
            try:
                wait_until(lambda: "ses_good" in ids(file), "the session")
                if thread == "ocattach-feed":
                    wait_until(lambda: listener.feed.is_settled, "the feed to have read what was missed")
            finally:
                listener.end()
                server.gone.set()
                listener.join()

    roots = (
        "SessionEventListener._listen",
        "SessionEventListener._act",
        "Feed.run",
        "Index.close",
        "Backoff.__init__",
    )
    found = calls(thread, listen, without=roots)
    assert len(found) >= 10
    for code, make in zip(
        found, cycle([each for each in ODD if isinstance(each(), Exception)]), strict=False
    ):
        with injected(thread, code, make()):
            listen()
    assert SECRET not in [record.getMessage() for record in caplog.records]
