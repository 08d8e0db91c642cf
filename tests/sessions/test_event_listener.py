"""What a link writes into the sessions of its daemon, and what it leaves alone; the daemon is a real OpenCode."""

import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from typing import Any, cast
from urllib.parse import quote

import pytest

from ocattach.config.spec import ConnectionSpec
from ocattach.config.targets.uri import parse_uri
from ocattach.link.server.tunnel_endpoint import TunnelEndpoint
from ocattach.link.sessions import origins as marking
from ocattach.link.sessions.listener import SessionEventListener
from ocattach.opencode.api import DaemonClient
from ocattach.sessions.index.store import Index
from ocattach.sessions.record import Session
from ocattach.tunnel.direct import DirectRoute
from ocattach.tunnel.tunnel import Tunnel
from tests.rigs.availability import require
from tests.rigs.directories import short_directory
from tests.rigs.http_daemon import HandStartedDaemon
from tests.rigs.local import LocalMachine, local_machine
from tests.rigs.waiting import wait_until

VERSION = "1.18.33"


@dataclass(slots=True)
class Notebook:
    """In the place of the index: what it was told, and when."""

    told: dict[str, Session] = field(default_factory=dict)
    gone: list[str] = field(default_factory=list)
    writes: list[float] = field(default_factory=list)
    closed: bool = False

    def put(
        self, sessions: Iterable[Session], environment: str, asked: float, *, uri: str, place: str
    ) -> None:
        assert (len(environment), uri, len(place)) == (16, "docker://app", 16)
        assert asked <= time.time()
        self.writes.append(time.monotonic())
        self.told |= {session.id: session for session in sessions}

    def forget(self, sessions: Sequence[str], environment: str) -> None:
        assert len(environment) == 16
        self.gone += sessions

    def close(self) -> None:
        self.closed = True


class Link:
    """What of a link concerns sessions: its tunnel to the daemon, and the watcher."""

    def __init__(
        self, daemon: HandStartedDaemon, *connections: tuple[str, str], version: str = VERSION
    ) -> None:
        self.daemon = daemon
        self.notebook = Notebook()
        self.tunnel = Tunnel(DirectRoute("127.0.0.1"), daemon.port)
        self.watcher = SessionEventListener(self, lambda: cast("Index", self.notebook))
        for name, directory in connections:
            target = parse_uri("docker://app").target
            self.watcher.add_connection(ConnectionSpec(target=target, name=name or None), directory)
        self.watcher.resume(version)

    def is_up(self) -> bool:
        return self.tunnel.lost is None

    def reject(self, reason: str) -> None:
        raise AssertionError(reason)

    def open_client(self, timeout: float, *, counts_as_loss: bool) -> DaemonClient:
        assert not counts_as_loss
        place = TunnelEndpoint(self.tunnel, counts_as_loss=counts_as_loss)
        return DaemonClient(place, password=self.daemon.password, timeout=timeout)

    @contextmanager
    def gap(self) -> Iterator[None]:
        """The way is lost, and comes back."""
        self.tunnel.give_up("It was cut.")
        yield
        self.tunnel.switch_route(DirectRoute("127.0.0.1"), self.daemon.port)
        self.watcher.resume(VERSION)

    def close(self) -> None:
        self.watcher.end()
        self.tunnel.close()
        self.watcher.join()


class World:
    """A daemon, and links to it."""

    def __init__(self, machine: LocalMachine, daemon: HandStartedDaemon, opened: ExitStack) -> None:
        self.machine = machine
        self.daemon = daemon
        self.workdir = str(machine.workdir)
        self._opened = opened

    def link(self, *connections: tuple[str, str], version: str = VERSION) -> Link:
        link = Link(self.daemon, *(connections or [("frontend", self.workdir)]), version=version)
        self._opened.callback(link.close)
        return link

    def client(self) -> DaemonClient:
        return DaemonClient(self.daemon.url, password=self.daemon.password, timeout=60)

    def request(self, method: str, path: str, body: Any = None) -> Any:
        return self.client().request(method, path, body).json()

    def is_busy(self, session: str) -> bool:
        return session in self.request("GET", f"/session/status?directory={quote(self.workdir, safe='')}")

    def make(self, directory: str | None = None, **body: Any) -> str:
        """A new session, made past every link."""
        where = quote(directory or self.workdir, safe="")
        session: str = self.request("POST", f"/session?directory={where}", body)["id"]
        return session

    def metadata(self, session: str) -> Mapping[str, Any]:
        found: Mapping[str, Any] = self.request("GET", f"/session/{session}").get("metadata") or {}
        return found

    def origin(self, session: str) -> str:
        """Where a session says that it began, once it does."""
        origin: str = wait_until(lambda: self.metadata(session).get("origin"), f"the origin of {session}")
        return origin

    def updated(self, session: str) -> int:
        stamp: int = self.request("GET", f"/session/{session}")["time"]["updated"]
        return stamp


@pytest.fixture(scope="module")
def machine_with_daemon() -> Iterator[tuple[LocalMachine, HandStartedDaemon]]:
    with ExitStack() as opened:
        opened.enter_context(require("opencode"))
        machine = opened.enter_context(local_machine(opened.enter_context(short_directory())))
        yield machine, opened.enter_context(HandStartedDaemon(machine))


@pytest.fixture
def world(
    machine_with_daemon: tuple[LocalMachine, HandStartedDaemon], monkeypatch: pytest.MonkeyPatch
) -> Iterator[World]:
    monkeypatch.setattr(marking, "OTHERS_FIRST", (0.1, 0.3))
    with ExitStack() as opened:
        yield World(*machine_with_daemon, opened)


def test_a_new_session_is_marked_once_and_its_other_metadata_is_kept(world: World) -> None:
    link = world.link()
    session = world.make(metadata={"ticket": 7})

    assert world.origin(session) == "frontend"
    metadata, stamp = world.metadata(session), world.updated(session)
    assert metadata["ticket"] == 7
    assert len(metadata["environment"]) == 16
    other = world.make()
    assert world.origin(other) == "frontend"
    assert (world.metadata(session), world.updated(session)) == (metadata, stamp)
    wait_until(lambda: link.notebook.told.get(other), "the session to be remembered")
    assert link.notebook.told[session].origin == "frontend"


def test_what_was_made_before_the_link_or_by_a_session_or_has_an_origin_is_left_alone(world: World) -> None:
    older = world.make()
    stamp = world.updated(older)
    world.link()
    of_others = world.make(metadata={"origin": {"by": "another program"}})
    child = world.make(parentID=of_others)

    assert world.origin(world.make()) == "frontend"
    assert (world.metadata(older), world.updated(older)) == ({}, stamp)
    assert world.metadata(of_others) == {"origin": {"by": "another program"}}
    assert world.metadata(child) == {}


def test_a_session_made_while_the_way_was_lost_is_made_up_for(world: World) -> None:
    link = world.link()
    before = world.make()
    world.origin(before)
    stamp = world.updated(before)

    with link.gap():
        missed = world.make()
        assert not world.metadata(missed)

    assert world.origin(missed) == "frontend"
    assert world.updated(before) == stamp
    wait_until(lambda: link.notebook.told.get(missed), "the session to be remembered")


def test_a_session_that_a_client_of_a_link_asks_for_while_that_comes_up_is_marked(world: World) -> None:
    link = world.link()
    link.watcher.expect()
    session = world.make()

    assert world.origin(session) == "frontend"


def test_of_several_names_it_is_the_one_whose_directory_holds_the_session(world: World) -> None:
    linked = world.machine.home / "linked"
    if not linked.exists():
        linked.symlink_to(world.workdir)
    world.link(("other", str(world.machine.home)), ("", "/"), ("front", str(linked)))

    assert world.origin(world.make()) == "front"
    assert world.origin(world.make(str(world.machine.home))) == "other"
    assert world.origin(world.make("/usr")) == "docker://app"


def test_of_two_links_that_writes_whose_client_has_made_the_session(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(marking, "OTHERS_FIRST", (1.0, 2.0))
    laptop, other = world.link(("mine", world.workdir)), world.link(("theirs", world.workdir))
    sessions = []
    for link in (laptop, other, laptop):
        link.watcher.expect()
        sessions.append(world.make())
        world.origin(sessions[-1])
    sessions.append(world.make())

    assert [world.metadata(session)["origin"] for session in sessions[:3]] == ["mine", "theirs", "mine"]
    assert world.origin(sessions[3]) in {"mine", "theirs"}
    stamps = [world.updated(session) for session in sessions]
    told = [link.notebook.told for link in (laptop, other)]
    wait_until(lambda: all(sessions[3] in each for each in told), "both to have heard of it")
    wait_until(lambda: all_settled(laptop, other), "both to have nothing left to do")
    assert [world.updated(session) for session in sessions] == stamps


def all_settled(*links: Link) -> bool:
    """Whether no link has anything to mark any more."""
    return all(link.watcher._tagger is not None and link.watcher._tagger.next_at is None for link in links)


def test_where_sessions_keep_no_metadata_nothing_is_written_and_all_is_remembered(world: World) -> None:
    link = world.link(version="1.15.4")
    session = world.make()
    stamp = world.updated(session)

    known = wait_until(lambda: link.notebook.told.get(session), "the session to be remembered")
    assert known.origin == "frontend"
    assert world.metadata(session) == {}
    assert world.updated(session) == stamp


def test_listening_is_no_use_of_the_link_and_finds_nothing_lost(world: World) -> None:
    daemon = HandStartedDaemon(world.machine)
    with daemon:
        link = Link(daemon, ("frontend", world.workdir))
        client = DaemonClient(daemon.url, password=daemon.password, timeout=30)
        session = client.request("POST", "/session", {}).json()["id"]
        wait_until(lambda: link.notebook.told.get(session), "the session to be heard of")
        assert link.tunnel.active_connections == 0
        assert link.tunnel.idle_seconds > 0
        daemon.kill()
        time.sleep(2)  # by then it has tried to listen again

        assert link.tunnel.lost is None
        began = time.monotonic()
        link.close()
        assert time.monotonic() - began < 5
        assert not any(thread.is_alive() for thread in link.watcher._threads)
        assert link.notebook.closed


def test_a_busy_session_is_remembered_once_a_second_and_a_deleted_one_forgotten(world: World) -> None:
    link = world.link()
    session = world.make()
    world.origin(session)
    for number in range(30):
        world.request("PATCH", f"/session/{session}", {"title": f"Title {number}"})
    world.request("DELETE", f"/session/{session}")

    wait_until(lambda: session in link.notebook.gone, "the session to be forgotten")
    pauses = [
        after - before for before, after in zip(link.notebook.writes, link.notebook.writes[1:], strict=False)
    ]
    assert all(pause > 0.9 for pause in pauses)
