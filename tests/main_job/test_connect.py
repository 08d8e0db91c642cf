"""From a name to a daemon that can be used, on every kind of environment."""

import http.client
import json
import threading
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import quote, urlsplit

import pytest

from tests.environments import Environment
from tests.main_job.conftest import new_laptop
from tests.main_job.costs import modules, request_counter, system_calls
from tests.main_job.laptop import Daemon, Laptop
from tests.rigs.availability import require
from tests.rigs.processes import ArgumentRecorder, Listener, listeners, listeners_of
from tests.rigs.waiting import wait_until

PROXIES = ("HTTP_PROXY", "http_proxy", "HTTPS_PROXY", "https_proxy", "ALL_PROXY", "all_proxy")
NO_PROXIES_THERE = dict.fromkeys(PROXIES, "http://127.0.0.1:9")

pytestmark = pytest.mark.one_of_each(
    also=["https", "podman-rootless", "ssh-no-forwarding"], without=["podman"]
)
"""Docker's variants, a jump host and a gateway's key are other ways in: see tests/contract/test_running_daemon.py."""


@pytest.fixture(scope="module")
def environment(shared_environment: Environment) -> Environment:
    """One for all: what the tests want of its daemon ends neither that nor the first link."""
    return shared_environment


@dataclass(frozen=True, slots=True)
class FirstConnect:
    """What somebody did in whose environment nothing ran before."""

    laptop: Laptop
    daemon: Daemon
    recorder: ArgumentRecorder
    """Has seen the command lines meanwhile."""

    listening: list[Listener]
    """What has been listening in the environment since."""


@pytest.fixture(scope="module", autouse=True)
def first(environment: Environment) -> Iterator[FirstConnect]:
    """Before any other test connects."""
    before = listeners(environment.network)
    with new_laptop(environment) as laptop:
        with ArgumentRecorder() as recorder:
            daemon = laptop.connect()
            laptop.connect()
        since = [listener for listener in listeners(environment.network) if listener not in before]
        yield FirstConnect(laptop, daemon, recorder, since)


@contextmanager
def events(daemon: Daemon) -> Iterator[list[str]]:
    """The types of the events that come while the block runs."""
    seen: list[str] = []
    ready = threading.Event()
    idle = threading.Event()

    def read() -> None:
        with daemon.stream("GET", f"/event?directory={quote(daemon.document['workdir'])}") as response:
            for line in response:
                if line.startswith(b"data: "):
                    seen.append(json.loads(line[6:])["type"])
                    ready.set()
                if seen and seen[-1] == "session.idle":
                    idle.set()
                    return

    reading = threading.Thread(target=read)
    reading.start()
    assert ready.wait(30)
    yield seen
    assert idle.wait(30)
    reading.join()


@pytest.mark.every_way_in
def test_a_cold_environment_gives_a_url_through_which_opencode_works(
    environment: Environment, first: FirstConnect
) -> None:
    daemon = first.daemon

    assert daemon.document["schema"] == 1
    assert daemon.document["name"] == "frontend"
    assert daemon.document["daemon"]["started"] == environment.starts_daemons
    assert daemon.document["route"] == environment.route
    assert daemon.request("GET", "/global/health") == (
        http.client.OK,
        {"healthy": True, "version": daemon.document["version"]},
    )
    with events(daemon) as seen:
        session = daemon.make_session()
        parts = daemon.prompt(session, "!bash pwd")
    tools = [part["state"]["output"].strip() for part in parts if part["type"] == "tool"]
    assert tools == [environment.workdir]
    assert parts[-2 if parts[-1]["type"] != "text" else -1]["text"] == f"tool said: {environment.workdir}"
    assert {"server.connected", "session.created", "message.part.updated"} <= set(seen)
    assert environment.model.requests


@pytest.mark.every_way_in
def test_without_the_credentials_nothing_is_answered(first: FirstConnect) -> None:
    refusals = {http.client.UNAUTHORIZED, http.client.FORBIDDEN}  # the latter is a gateway's
    for path in ("/global/health", "/session", "/event", "/"):
        assert first.daemon.request("GET", path, authorized=False)[0] in refusals, path


def steady(environment: Environment) -> int:
    """How often it was dialled, once nothing is dialled any more: an engine's log may be late."""
    counts = [environment.connections()]

    def is_steady() -> bool:
        counts.append(environment.connections())
        return counts[-1] == counts[-2]

    wait_until(is_steady, "the number of connections to stay the same", interval=0.3)
    return counts[-1]


def test_the_second_time_nothing_is_dialled(environment: Environment, first: FirstConnect) -> None:
    connections = steady(environment)
    ran = first.laptop.run("frontend", "--print-url")

    assert "Daemon already running" in ran.stderr
    assert ran.stdout.strip() == first.daemon.document["url"]
    logs = [each.read_text() for each in (first.laptop.state / "links").glob("*.log")]
    assert environment.connections() == connections, logs
    assert len(first.laptop.links()) == 1


REQUESTS = {
    "docker": [
        "GET containers/frontend-app/json",
        *("POST containers/frontend-app/exec", "POST exec//start"),
    ],
    "k8s": ["get pods", "get pods/exec"],
}
"""One look, one script that finds the daemon and becomes the relay."""


@pytest.mark.parametrize("shared_environment", sorted(REQUESTS), indirect=True)
def test_a_connection_to_a_running_daemon_takes_no_more_requests_than_it_has(
    environment: Environment, laptop: Laptop, request: pytest.FixtureRequest
) -> None:
    scheme = environment.entry["transport"]
    requests = request_counter(scheme, request)

    before = len(requests())
    laptop.connect()
    assert requests()[before:] == REQUESTS[scheme]

    before = len(requests())
    laptop.connect()
    assert requests()[before:] == []


COSTS = {
    ("saved", "--print-url"): (190, 2550),
    ("--list",): (230, 3200),
    ("--version",): (165, 2100),
}
"""Of commands that are to feel like no program at all: the most modules and system calls.

5 to 10 per cent above what CPython 3.11 takes on Linux. What takes more is to be slower for a reason.
"""


@pytest.mark.parametrize("shared_environment", ["docker"], indirect=True)
@pytest.mark.parametrize("arguments", COSTS)
def test_a_quick_command_does_no_more_than_it_did(
    first: FirstConnect, arguments: tuple[str, ...], tmp_path: Path
) -> None:
    most_modules, most_calls = COSTS[arguments]
    environment = first.laptop.environment
    uri = f"docker://{environment.entry['container']}"
    ran = first.laptop.run("--save", "saved", uri, "--workdir", environment.workdir, "--force")
    assert ran.exit_code == 0, ran.stderr

    assert modules(first.laptop, *arguments) <= most_modules
    with require("strace"):
        assert system_calls(first.laptop, tmp_path / "strace", *arguments) <= most_calls


def test_another_laptop_finds_the_same_daemon(laptop: Laptop, first: FirstConnect) -> None:
    laptop.save("other-name")
    daemon = laptop.connect("other-name")

    assert not daemon.document["daemon"]["started"]
    assert daemon.document["daemon"]["pid"] == first.daemon.document["daemon"]["pid"]
    assert daemon.document["url"] != first.daemon.document["url"]
    assert daemon.request("GET", "/global/health")[0] == http.client.OK


def test_another_directory_of_the_same_environment_shares_link_and_daemon(
    environment: Environment, first: FirstConnect
) -> None:
    elsewhere = first.laptop.connect("frontend", "--workdir", "/tmp")  # noqa: S108

    assert elsewhere.document["url"] == first.daemon.document["url"]
    assert elsewhere.document["workdir"] == "/tmp"  # noqa: S108
    missing = first.laptop.run("frontend", "--print-url", "--workdir", "/no/such")
    assert missing.exit_code == 1
    assert "/no/such" in missing.stderr
    assert first.daemon.request("GET", "/global/health")[0] == http.client.OK
    assert len(environment.processes()) >= 1


@pytest.mark.every_way_in
def test_a_proxy_in_the_users_environment_breaks_nothing(laptop: Laptop) -> None:
    daemon = laptop.connect("frontend", variables=NO_PROXIES_THERE)

    assert daemon.request("GET", "/global/health")[0] == http.client.OK


@pytest.mark.every_way_in
def test_no_process_shows_the_password_and_all_listens_on_loopback_only(
    environment: Environment, first: FirstConnect
) -> None:
    assert first.recorder.rounds > 10
    assert not first.recorder.showing(first.daemon.document["password"])
    assert first.listening or not environment.starts_daemons
    assert all(listener.is_loopback for listener in first.listening)
    assert all(listener.is_loopback for listener in listeners_of(first.laptop.links()))


@pytest.mark.every_way_in
def test_what_is_kept_on_the_laptop_is_private(first: FirstConnect) -> None:
    laptop, password = first.laptop, first.daemon.document["password"]

    for folder in (laptop.state, laptop.runtime):
        for path in (folder, *folder.rglob("*")) if folder.exists() else ():  # without a link there is none
            is_program = path.name == "askpass"  # in a directory of ssh's own
            expected = 0o700 if path.is_dir() or is_program else 0o600
            assert expected == path.stat().st_mode & 0o777, path
            if path.is_file() and path.suffix != ".credential":
                assert password not in path.read_text(errors="replace")


def test_a_printed_link_opens_the_page_in_any_browser(first: FirstConnect) -> None:
    ran = first.laptop.run("web", "frontend", "--print", "-o", "json")
    assert ran.exit_code == 0, ran.stdout + ran.stderr
    site, login = urlsplit(ran.document["url"]), urlsplit(ran.document["login"])

    def get(target: str, **headers: str) -> http.client.HTTPResponse:
        with closing(http.client.HTTPConnection("127.0.0.1", site.port, timeout=60)) as connection:
            connection.request("GET", target, headers={"Host": site.netloc, **headers})
            with connection.getresponse() as answer:
                answer.read()
        return answer

    answer = get(f"{login.path}?{login.query}")
    cookie = str(answer.headers["Set-Cookie"]).partition(";")[0]
    page = get("/", Cookie=cookie, **{"Sec-Fetch-Site": "same-origin"})
    assert (page.status, page.headers.get_content_type()) == (http.client.OK, "text/html")
    assert get(f"{login.path}?{login.query}").status == http.client.FORBIDDEN
    assert first.laptop.run("web", "frontend", "--revoke").exit_code == 0
    again = get("/", Cookie=cookie, **{"Sec-Fetch-Site": "same-origin"})
    assert again.status == http.client.FORBIDDEN
