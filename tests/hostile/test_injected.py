"""An exception that no code expects, at every call that a thread makes, is the error of one environment."""

import asyncio
import json
import logging
import os
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from http import HTTPStatus
from http.client import HTTPConnection
from itertools import cycle
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest

from ocattach.cli.status.actions import Actions
from ocattach.config.settings import Settings
from ocattach.config.spec import ConnectionSpec, environment_id
from ocattach.defects import FILE, as_error
from ocattach.doctor.ladder import Ladder, Status
from ocattach.errors import DefectError, OcattachError
from ocattach.link.client.foreground import connect
from ocattach.link.files import browser_file, link_files
from ocattach.link.messages import PROTOCOL
from ocattach.link.server.credential import link_credential
from ocattach.link.server.history import History
from ocattach.link.server.log import LogFormatter, PrivateFile
from ocattach.link.server.port import LocalAccess
from ocattach.link.server.process import Link
from ocattach.link.server.reconnector import Reconnector
from ocattach.link.server.state import LinkState, StateMachine
from ocattach.link.server.supervisor import Environment
from ocattach.survey.collect import SessionCollector
from ocattach.survey.everywhere import AllConnections, SurveyedConnection
from ocattach.survey.session_list import Request, SessionList
from ocattach.survey.status import Survey
from ocattach.transports.pump import Pump
from ocattach.tunnel.direct import DirectRoute
from ocattach.tunnel.route import DialRoute
from ocattach.tunnel.splice import SpliceEndpoint
from ocattach.tunnel.tunnel import Tunnel
from tests.hostile.injection import ODD, SECRET, calls, injected
from tests.rigs.odd_daemon import OddDaemon, odd_daemon, session
from tests.rigs.waiting import wait_until

pytestmark = pytest.mark.thorough

SECONDS = 20.0
"""The deadline of a query; waiting for it would be a mistake."""

BORDER = ("FanOut._run", "FanOut._end", "ask_each.<locals>.query")
"""What is not inside of the border, but is it. The last is called by it, with no name of its own before it runs."""


@dataclass
class Place:
    """Two environments, and the state of this machine."""

    environ: dict[str, str]
    specs: list[ConnectionSpec]

    @property
    def state(self) -> Path:
        """The directory of logs and of the index."""
        return Path(self.environ["OCATTACH_STATE_DIR"])

    def said(self) -> str:
        """All that was logged."""
        return "".join(path.read_text() for path in self.state.glob("*.log"))


@pytest.fixture
def daemons() -> Iterator[list[OddDaemon]]:
    with odd_daemon(session(id="ses_1")) as one, odd_daemon(session(id="ses_2")) as other:
        for daemon, name in ((one, "ses_1"), (other, "ses_2")):
            daemon.answer("/session/status", {name: {"type": "busy"}})
            daemon.answer("/permission", [{"id": "per_1", "sessionID": name}])
            daemon.answer(f"/session/{name}", session(id=name))
        yield [one, other]


@pytest.fixture
def place(workdir: Path, daemons: list[OddDaemon], monkeypatch: pytest.MonkeyPatch) -> Place:
    folders = {f"OCATTACH_{name}_DIR": str(workdir / name) for name in ("CONFIG", "STATE", "RUNTIME")}
    for folder in folders.values():
        Path(folder).mkdir(mode=0o700)
    for name, value in folders.items():
        monkeypatch.setenv(name, value)
    specs = [ConnectionSpec.from_entry({"transport": "http", "url": daemon.url}) for daemon in daemons]
    return Place({**os.environ, **folders}, specs)


def surveyed(place: Place) -> list[Any]:
    """What `--status` says of both."""
    with Survey(
        [SurveyedConnection(spec) for spec in place.specs], environ=place.environ, timeout=SECONDS
    ) as survey:
        survey.ask()
        while not survey.is_done:
            survey.await_change(0.05)
        return survey.statuses()


def gathered(place: Place) -> SessionList:
    """What `session list` says of both."""
    entries = tuple(SurveyedConnection(spec) for spec in place.specs)
    return SessionCollector(
        AllConnections(entries, ()),
        Request(),
        environ=place.environ,
        timeout=SECONDS,
    ).gather()


def row_of_each(place: Place) -> int:
    """Check that `--status` has a row for each, and one that answers. Returns how many are defects."""
    statuses = surveyed(place)
    assert None not in statuses
    assert any(status.state == "waiting" for status in statuses)
    for status in statuses:
        assert SECRET not in status.reason
        assert not status.is_defect or str(place.state / FILE) in status.hint
    return sum(status.is_defect for status in statuses)


def sessions_of_others(place: Place) -> int:
    """Check that `session list` has the sessions of one that answers. Returns how many others are defects."""
    listed = gathered(place)
    failed = [source.error for source in listed.sources if isinstance(source.error, DefectError)]
    assert any(each.is_live for each in listed.sessions)
    assert SECRET not in str(failed)
    return len(failed)


@pytest.mark.parametrize(("ask", "calls_at_least"), [(row_of_each, 50), (sessions_of_others, 40)])
def test_the_others_answer_whatever_is_raised_wherever(
    place: Place, capfd: pytest.CaptureFixture[str], ask: Callable[[Place], int], calls_at_least: int
) -> None:
    found = calls("ocattach-query", lambda: ask(place), without=BORDER)
    assert len(found) > calls_at_least

    defects = 0
    for code, make in zip(found, cycle(ODD), strict=False):
        began = time.monotonic()
        with injected("ocattach-query", code, make()) as raised:
            failed = ask(place)
        assert time.monotonic() - began < SECONDS / 2, raised
        assert failed <= 1, raised
        defects += failed

    assert defects > len(found) / 2
    assert SECRET not in place.said()
    assert capfd.readouterr().err == ""


def test_what_is_raised_as_an_answer_is_read_concerns_that_environment(
    place: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    odd = environment_id(place.specs[0], place.environ)
    read = SessionCollector._listed

    def listed(self: SessionCollector, sessions: Any, catalogue: Any) -> Any:
        if any(each.environment == odd for each in sessions):
            raise OverflowError(SECRET)
        return read(self, sessions, catalogue)

    monkeypatch.setattr(SessionCollector, "_listed", listed)

    sources = {source.id: source for source in gathered(place).sources}

    assert isinstance(sources[odd].error, DefectError)
    assert [source.error for name, source in sources.items() if name != odd] == [None]


@dataclass
class RunningLink:
    """A link in this process, for this machine, on which no daemon runs."""

    link: Link
    spec: ConnectionSpec
    environ: dict[str, str]
    serving: threading.Thread

    def ask(self, do: str, **more: Any) -> dict[str, Any]:
        """Send a request, and return the answer."""
        channel = connect(link_files(self.spec.link_key(self.environ), self.environ))
        assert channel is not None
        try:
            own = {"protocol": PROTOCOL, "spec": self.spec.to_json(), "environ": dict(os.environ)}
            channel.send({"do": do, "timeout": 20, **own, **more})
            while True:
                answer = channel.receive(timeout=SECONDS)
                if not answer.keys() & {"doing", "step", "notice"}:
                    return answer
        finally:
            channel.close()


@pytest.fixture
def running(place: Place, monkeypatch: pytest.MonkeyPatch) -> Iterator[RunningLink]:
    monkeypatch.setattr(Environment, "idle_seconds", 0.0)  # without a connection a link ends
    spec = ConnectionSpec.from_entry({"transport": "local", "port": 9}).pinned(place.environ)
    key = spec.link_key(place.environ)
    files = link_files(key, place.environ)
    files.socket.parent.mkdir(parents=True, exist_ok=True)
    files.log.parent.mkdir(parents=True, exist_ok=True)
    handler = PrivateFile(files.log)
    handler.setFormatter(LogFormatter("%(levelname)s %(message)s"))
    logging.getLogger().addHandler(handler)
    link = Link(
        files,
        Settings(),
        LocalAccess(link_credential(key, place.environ), [], browser_file(key, place.environ)),
    )
    link.listen()
    serving = threading.Thread(target=link.serve)
    serving.start()
    try:
        yield RunningLink(link, spec, place.environ, serving)
    finally:
        link.end()
        serving.join()
        link.close()
        logging.getLogger().removeHandler(handler)
        handler.close()


@pytest.mark.parametrize("do", ["attach", "status", "daemon"])
def test_a_link_answers_and_goes_on_whatever_is_raised_wherever(
    running: RunningLink, do: str, capfd: pytest.CaptureFixture[str]
) -> None:
    request = {"start": False, "directories": [None], "since": None}
    running.link._environment._connection.directories.clear()
    found = calls("ocattach-request", lambda: running.ask(do, **request), without=NOT_INSIDE)
    assert found

    for code, make in zip(found, cycle(ODD), strict=False):
        with injected("ocattach-request", code, make()) as raised:
            answer = running.ask(do, **request)
        assert SECRET not in json.dumps(answer), raised
        assert running.serving.is_alive(), raised
        if do == "attach":
            assert answer["error"]["code"] in {"defect", "daemon-not-running"}, raised

    log = link_files(running.spec.link_key(running.environ), running.environ).log
    assert SECRET not in log.read_text()
    assert capfd.readouterr().err == ""


NOT_INSIDE = (
    "Link._handle",
    "Link._converse",
    "Link._serve_request",
    "Link._has_other_requests",
    "Link._has_other_requests.<locals>.<genexpr>",
    "logged_error",
    "OcattachError.to_json",
    "MessageChannel.__init__",
    "MessageChannel.send",
    "MessageChannel.receive",
    "MessageChannel.close",
    "Environment.idle_seconds",
    "DaemonConnection.idle_seconds",
)
"""The border of a link's request, up to where it is read, and the channel on which the error is reported."""


def test_a_loss_is_retried_whatever_a_try_raises() -> None:
    failures = [make() for make in ODD if isinstance(make(), Exception)]
    tries = iter(failures)
    state = StateMachine(History())
    state.move(LinkState.CONNECTED)
    state.lose("pulled")

    def restore() -> None:
        error = next(tries, None)
        if error is not None:
            raise error
        state.begin()
        state.move(LinkState.CONNECTED)

    reconnector = Reconnector(restore, state=state, is_wanted=lambda: True, give_up=lambda _: None)
    try:
        reconnector.retry_now()
        wait_until(lambda: state.state is LinkState.CONNECTED, "the connection")
    finally:
        reconnector.end()


@pytest.mark.parametrize("make", [make for make in ODD if isinstance(make(), Exception)])
def test_doctor_runs_the_other_steps_whatever_one_raises(
    make: Callable[[], BaseException], workdir: Path
) -> None:
    def fails() -> str:
        raise make()

    ladder = Ladder(began=lambda _: None, done=lambda _: None, log=workdir / FILE)
    ladder.step("first", fails)
    ladder.step("second", lambda: "found")
    ladder.step("third", lambda: "found", after=["first"])

    assert [rung.status for rung in ladder.rungs] == [Status.FAILED, Status.OK, Status.SKIPPED]
    assert isinstance(ladder.error, DefectError)
    assert SECRET not in ladder.error.message + (workdir / FILE).read_text()


@pytest.mark.parametrize("make", ODD)
def test_the_watch_goes_on_whatever_an_action_raises(make: Callable[[], BaseException], place: Place) -> None:
    def act() -> str:
        raise make()

    with Survey([SurveyedConnection(place.specs[0])], environ=place.environ, timeout=SECONDS) as survey:
        actions = Actions(survey, lambda: None)
        actions._do(act, 0, "acting")
        wait_until(lambda: "bug in ocattach" in actions.message, "the message")
    assert SECRET not in actions.message


def test_an_error_of_ours_is_itself_and_not_a_defect(place: Place) -> None:
    error = OcattachError("x")

    assert as_error(error, place.state / FILE) is error
    assert place.said() == ""


class OddRoute(DirectRoute):
    """A route whose next dial raises."""

    error: BaseException | None = None

    async def dial(self, client: SpliceEndpoint, host: str, port: int) -> None:
        error, self.error = self.error, None
        if error is not None:
            raise error
        await super().dial(client, host, port)


def status(tunnel: Tunnel) -> int:
    """The status with which a client of the tunnel is answered."""
    connection = HTTPConnection("127.0.0.1", tunnel.port, timeout=SECONDS)
    try:
        connection.request("GET", "/global/health")
        return connection.getresponse().status
    finally:
        connection.close()


ODD_EXCEPTIONS = [make for make in ODD if isinstance(make(), Exception)]


def test_a_tunnel_answers_and_goes_on_whatever_a_dial_raises(daemons: list[OddDaemon]) -> None:
    route = OddRoute("127.0.0.1")
    with Tunnel(route, urlsplit(daemons[0].url).port or 0) as tunnel:
        for make in ODD_EXCEPTIONS:
            route.error = make()
            assert status(tunnel) == HTTPStatus.SERVICE_UNAVAILABLE
            assert status(tunnel) == HTTPStatus.OK


@pytest.mark.parametrize("make", ODD)
def test_a_route_is_lost_whatever_pinging_it_raises(make: Callable[[], BaseException]) -> None:
    def fails(*_: object) -> Any:
        raise make()

    async def lost() -> str:
        route = DialRoute("port-forward", fails, ping=fails)
        route.dead_after = 1
        await route.start(within=1)
        try:
            return await asyncio.wait_for(route.lost, SECONDS)
        finally:
            await route.close()

    assert "could not be" in asyncio.run(lost())


@pytest.mark.parametrize("make", ODD)
@pytest.mark.filterwarnings("ignore::pytest.PytestUnhandledThreadExceptionWarning")
def test_a_pump_ends_whatever_its_connection_raises(make: Callable[[], BaseException]) -> None:
    def fails() -> bytes:
        raise make()

    pump = Pump(receive=fails, send=lambda _: None, end_input=lambda: None, hang_up=lambda: None)
    pump.socket.settimeout(SECONDS)

    assert pump.socket.recv(1) == b""
    pump.close()
