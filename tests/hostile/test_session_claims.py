"""An environment that reports another one's sessions and requests gets nothing that is meant for the other."""

import json
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import ExitStack
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest

from ocattach.cli.main import main
from ocattach.cli.status.actions import Actions
from ocattach.config.spec import ConnectionSpec
from ocattach.errors import SessionConflictError
from ocattach.opencode.pending import PendingRequest, read_request
from ocattach.sessions.index import index_file
from ocattach.sessions.index.claims import TOGETHER_SECONDS
from ocattach.sessions.index.store import Index
from ocattach.sessions.origins import Names
from ocattach.sessions.record import Session
from ocattach.survey.everywhere import everywhere
from ocattach.survey.find import choose, find
from ocattach.survey.status import Survey
from tests.rigs.http_servers import Server, answer, serve
from tests.rigs.waiting import wait_until

SESSION, REQUEST = "ses_6b8a2f0d1ffeZ9xQ2vW7yTnK4r", "per_6b8a2f0d1ffeZ9xQ2vW7yTnK4r"
LATER = TOGETHER_SECONDS + 1


class FakeDaemon:
    """A daemon that reports whatever it likes, here one session and one permission request."""

    def __init__(self, name: str, stack: ExitStack, *, origin: str = "", age: float = 0) -> None:
        now = int((time.time() - age) * 1000)
        self.name = name
        self.session: dict[str, Any] = {
            "id": SESSION,
            "title": f"of {name}",
            "directory": "/app",
            "time": {"created": now, "updated": now},
            "metadata": {"origin": origin} if origin else {},
        }
        asked = {"id": REQUEST, "sessionID": SESSION, "permission": "bash", "patterns": [f"of {name}"]}
        self.documents: dict[str, Any] = {
            "/global/health": {"healthy": True, "version": "1.18.33"},
            "/session": [],
            "/session/status": {},
            "/path": {"directory": "/app", "home": "/root"},
            "/experimental/session": [self.session],
            f"/session/{SESSION}": self.session,
            f"/session/{SESSION}/message": [],
            "/permission": [asked],
            f"/permission/{REQUEST}/reply": True,
        }
        self.server: Server = stack.enter_context(serve(self._behave))
        self.spec = ConnectionSpec.from_entry({"transport": "http", "url": self.server.url}, name=name)

    @property
    def writes(self) -> list[str]:
        """The requests that change something."""
        return [head.split("\r\n")[0] for head in self.server.heads if not head.startswith("GET ")]

    def _behave(self, connection: Any, server: Server) -> None:
        method, target, _ = server.heads[-1].split("\r\n")[0].split(" ")
        path = urlsplit(target).path
        if method == "POST" and path == f"/permission/{REQUEST}/reply":
            self.documents["/permission"] = []
        found = self.documents.get(path)
        body = {"name": "NotFoundError", "data": {"message": "not found"}} if found is None else found
        answer("404 Not Found" if found is None else "200 OK", json.dumps(body))(connection, server)


class Desk:
    """An account with connections to daemons."""

    def __init__(self, home: Path, *daemons: FakeDaemon) -> None:
        self.home = home
        self.environ: Mapping[str, str] = {
            "HOME": str(home),
            "PATH": "/usr/bin:/bin",
            "XDG_RUNTIME_DIR": str(home),
        }
        folder = home / ".config/ocattach/connections"
        folder.mkdir(parents=True)
        for each in daemons:
            (folder / f"{each.name}.yaml").write_text(
                json.dumps({"transport": "http", "url": each.server.url})
            )
        self.index = index_file(home / ".local/state/ocattach")

    def report(
        self, daemon: FakeDaemon, seen: float, *, place: str | None = None, uri: str | None = None
    ) -> None:
        """Store in the index that a daemon reported the session."""
        environment = daemon.spec.link_key(self.environ)
        session = Session.from_api(daemon.session, environment=environment)
        assert session is not None
        with Index(self.index) as index:
            place = daemon.spec.place_id(self.environ) if place is None else place
            uri = daemon.spec.display() if uri is None else uri
            index.put([session], environment, seen, uri=uri, place=place)

    def found(self) -> str | None:
        """The name of the connection that the session's id leads to."""
        places = everywhere(cwd=self.home, environ=self.environ)
        return find(SESSION, places.entries, environ=self.environ, timeout=20).spec.name

    def run(self, *arguments: str) -> int:
        """The exit code of a command in this process."""
        with pytest.raises(SystemExit) as ended:
            main(arguments)
        return int(ended.value.code or 0)


@pytest.fixture
def stack() -> Iterator[ExitStack]:
    with ExitStack() as opened:
        yield opened


@pytest.fixture
def production(stack: ExitStack) -> FakeDaemon:
    return FakeDaemon("production", stack, age=1000)


@pytest.fixture
def sandbox(stack: ExitStack) -> FakeDaemon:
    """It says that it updated the session last, and that the session is production's."""
    return FakeDaemon("sandbox", stack, origin="production")


@pytest.fixture
def desk(
    tmp_path: Path, production: FakeDaemon, sandbox: FakeDaemon, monkeypatch: pytest.MonkeyPatch
) -> Desk:
    made = Desk(tmp_path, production, sandbox)
    for name in ("OCATTACH_CONFIG_DIR", "OCATTACH_STATE_DIR", "XDG_CONFIG_HOME", "XDG_STATE_HOME"):
        monkeypatch.delenv(name, raising=False)
    for name, value in made.environ.items():
        monkeypatch.setenv(name, value)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "excepthook", sys.__excepthook__)
    return made


def test_the_first_to_report_an_id_keeps_it(desk: Desk, production: FakeDaemon, sandbox: FakeDaemon) -> None:
    now = time.time()
    desk.report(production, now - LATER)
    desk.report(sandbox, now)

    assert desk.found() == "production"
    assert desk.run("session", "delete", SESSION, "--yes") == 0
    assert (len(production.writes), sandbox.writes) == (1, [])


def origins(table: str) -> list[str]:
    """The column Origin of `session list`."""
    head, *lines = table.splitlines()
    return [line[head.index("Origin") :].split()[0] for line in lines]


def test_the_second_is_shown(
    desk: Desk, production: FakeDaemon, sandbox: FakeDaemon, capsys: pytest.CaptureFixture[str]
) -> None:
    now = time.time()
    desk.report(production, now - LATER)
    desk.report(sandbox, now)

    desk.run("session", "show", SESSION)
    assert (
        f"sandbox (http://127.0.0.1:{sandbox.server.port}) reports {SESSION} too" in capsys.readouterr().err
    )
    desk.run("session", "list")
    listed = capsys.readouterr()
    assert origins(listed.out) == ["production"]
    assert f"sandbox reports {SESSION} of production as its own" in listed.err

    production.documents.clear()  # now only sandbox reports the session
    desk.run("session", "list")
    assert origins(capsys.readouterr().out) == ["production"]


@pytest.mark.parametrize("is_in_index", [True, False])
def test_neither_gets_anything_where_nobody_was_first(
    desk: Desk, production: FakeDaemon, sandbox: FakeDaemon, *, is_in_index: bool
) -> None:
    if is_in_index:
        desk.report(sandbox, time.time() - 1)
        desk.report(production, time.time())

    with pytest.raises(SessionConflictError) as caught:
        desk.found()
    assert "production" in caught.value.message
    assert "sandbox" in caught.value.message
    assert f"ocattach production --session {SESSION}" in caught.value.hint
    for words in (
        ["abort", SESSION],
        ["delete", SESSION, "--yes"],
        ["send", SESSION, "hello"],
        ["export", SESSION],
    ):
        assert desk.run("session", *words) == 1
    assert production.writes == sandbox.writes == []

    choose(SESSION, production.spec, desk.environ)
    assert desk.found() == "production"


def test_an_id_of_an_environment_that_is_not_among_the_connections_stays_its_own(
    desk: Desk, production: FakeDaemon, sandbox: FakeDaemon
) -> None:
    desk.report(production, time.time() - LATER)
    desk.report(sandbox, time.time())
    (desk.home / ".config/ocattach/connections/production.yaml").unlink()

    assert desk.found() is None  # the URI of production


def test_an_id_of_an_environment_that_cannot_be_reached_any_more_is_not_another_ones(
    desk: Desk, production: FakeDaemon
) -> None:
    desk.report(production, time.time() - LATER, uri="")
    (desk.home / ".config/ocattach/connections/production.yaml").unlink()

    with pytest.raises(SessionConflictError):
        desk.found()


def test_what_one_forgets_is_kept_of_the_other(
    desk: Desk, production: FakeDaemon, sandbox: FakeDaemon
) -> None:
    desk.report(production, time.time() - LATER)
    desk.report(sandbox, time.time())
    with Index(desk.index) as index:
        index.forget([SESSION], sandbox.spec.link_key(desk.environ))
    desk.report(sandbox, time.time())

    assert desk.found() == "production"


def test_two_connections_to_one_place_are_no_conflict(
    desk: Desk, production: FakeDaemon, sandbox: FakeDaemon
) -> None:
    desk.report(production, time.time(), place="one")
    desk.report(sandbox, time.time(), place="one")

    assert desk.found() == "sandbox"  # the last to report it
    with Index(desk.index) as index:
        (claims,) = index.claims().values()
    assert claims.others == []


def test_an_origin_counts_only_where_its_connection_leads(
    desk: Desk, production: FakeDaemon, sandbox: FakeDaemon
) -> None:
    names = Names([production.spec, sandbox.spec], desk.environ)

    def origin(environment: str) -> str:
        session = Session.from_api(sandbox.session, environment=environment)
        assert session is not None
        return names.named(session).origin

    assert origin(sandbox.spec.link_key(desk.environ)) == "sandbox"
    assert origin("that of a typed URI") == ""
    assert origin(production.spec.link_key(desk.environ)) == "production"


def test_a_reply_to_a_request_that_two_report_reaches_neither(
    desk: Desk, production: FakeDaemon, sandbox: FakeDaemon, capsys: pytest.CaptureFixture[str]
) -> None:
    assert desk.run("session", "waiting") == 0
    assert f"! {REQUEST} is reported by several environments" in capsys.readouterr().err
    assert desk.run("session", "reply", REQUEST, "always") == 1
    assert production.writes == sandbox.writes == []

    del production.documents["/permission"]
    desk.report(production, time.time() - LATER)
    assert desk.run("session", "reply", REQUEST, "always") == 1, "the session is production's"
    assert sandbox.writes == []

    choose(SESSION, sandbox.spec, desk.environ)
    desk.report(sandbox, time.time())
    assert desk.run("session", "reply", REQUEST, "once") == 0
    assert len(sandbox.writes) == 1


def test_a_reply_from_the_watch_reaches_the_owner_alone_and_once(
    desk: Desk, production: FakeDaemon, sandbox: FakeDaemon
) -> None:
    desk.report(production, time.time() - LATER)
    desk.report(sandbox, time.time())
    entries = {entry.spec.name: entry for entry in everywhere(cwd=desk.home, environ=desk.environ).entries}
    pair = (production, sandbox)
    requests = [read_request(each.documents["/permission"][0], "/app") for each in pair]
    with Survey([entries[each.name] for each in pair], environ=desk.environ, timeout=20) as survey:
        actions = Actions(survey, lambda: None)

        def respond(number: int, request: PendingRequest | None, awaited: str) -> None:
            assert request is not None
            actions.respond("o", number, request, is_whole=True)
            wait_until(lambda: awaited in actions.message, awaited)

        respond(1, requests[1], f"{SESSION} belongs to another environment")
        respond(0, requests[1], f"{REQUEST} has changed")
        assert production.writes == sandbox.writes == []
        assert not actions.sent, "it can be answered again"
        respond(0, requests[0], "Allowed once: bash: of production")
        assert actions.sent == {(0, REQUEST)}, "the other row keeps showing its own"
        respond(0, requests[0], f"{REQUEST} does not wait for an answer")
    assert (len(production.writes), sandbox.writes) == (1, [])
