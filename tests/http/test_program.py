"""`ocattach` with a URL, as a program: what it leaves running, what it prints, what it refuses."""

import base64
import http.client
import json
import subprocess
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import psutil
import pytest

from tests.environments import Environment
from tests.environments.http import PASSWORD_VARIABLE
from tests.main_job.conftest import new_laptop
from tests.main_job.laptop import Laptop
from tests.main_job.test_reconnecting import status as link_status
from tests.main_job.test_terminal import READY, TUI_SECONDS, leave, terminal
from tests.rigs.http_gateway import KEY, Authority, Gateway
from tests.rigs.processes import ArgumentRecorder
from tests.rigs.waiting import wait_until
from tests.tunnel.servers import free_port

by_url = pytest.mark.parametrize("shared_environment", ["http", "https"], indirect=True)
plain = pytest.mark.parametrize("shared_environment", ["http"], indirect=True)
behind_a_key = pytest.mark.parametrize("shared_environment", ["https-header"], indirect=True)


@pytest.fixture(scope="module")
def environment(shared_environment: Environment) -> Environment:
    """One for all: nobody ends its daemon, or makes a session there."""
    return shared_environment


@pytest.fixture
def laptop(environment: Environment) -> Iterator[Laptop]:
    """A laptop of the test's own with the URL saved as "frontend"."""
    with new_laptop(environment) as laptop:
        yield laptop


@by_url
def test_the_url_itself_is_given_and_no_process_stays(environment: Environment, laptop: Laptop) -> None:
    ran = laptop.run("frontend", "--print-url", "--verbose")

    assert ran.exit_code == 0
    assert ran.stdout.strip() == environment.entry["url"]
    assert "No link" in ran.stderr
    assert "Connected directly" in ran.stderr
    assert not laptop.links()
    assert not list(laptop.runtime.glob("*"))
    assert "not connected" in laptop.run("--disconnect", "frontend").stderr


@plain
def test_its_page_is_opened_by_its_own_url(environment: Environment, laptop: Laptop) -> None:
    ran = laptop.run("web", "frontend", "-o", "json")

    assert ran.exit_code == 2
    assert str(environment.entry["url"]) in ran.document["error"]["hint"]


@by_url
def test_curl_can_use_what_is_printed(environment: Environment, laptop: Laptop) -> None:
    document = laptop.connect().document
    settings = 'url="{url}/session"\nuser="{username}:{password}"\n'.format(**document)
    settings += f'cacert="{document["ca_file"]}"\n' if "ca_file" in environment.entry else ""
    answer = subprocess.run(
        ["curl", "--silent", "--fail", "--config", "-"],
        input=settings,
        capture_output=True,
        text=True,
        check=True,
    )

    assert json.loads(answer.stdout) == []
    assert document["daemon"]["pid"] is None


@plain
def test_the_daemon_of_somebody_else_is_not_stopped(environment: Environment, laptop: Laptop) -> None:
    for force in ((), ("--force",)):
        ran = laptop.run("--stop", "frontend", *force)

        assert ran.exit_code == 1
        assert "not started by ocattach" in ran.stderr
    assert all(process.is_running() for process in environment.processes())
    assert not laptop.links()


@plain
def test_no_daemon_is_started_and_the_next_step_is_told(environment: Environment, laptop: Laptop) -> None:
    assert environment.missing
    laptop.save("frontend", **environment.missing)
    ran = laptop.run("frontend", "--print-url")

    assert ran.exit_code == 6
    assert "opencode serve --port" in ran.stderr


@plain
def test_a_password_that_is_not_accepted_is_told_with_where_it_came_from(laptop: Laptop) -> None:
    ran = laptop.run("frontend", "--print-url", variables={PASSWORD_VARIABLE: "wr0ng"})

    assert ran.exit_code == 4
    assert PASSWORD_VARIABLE in ran.stderr
    assert "wr0ng" not in ran.stderr


@plain
def test_what_a_password_command_says_is_shown_with_its_control_characters_written_out(
    laptop: Laptop,
) -> None:
    command = ["sh", "-c", r"printf 'gpg: \033]0;owned\007 no key\n' >&2; exit 2"]
    laptop.save("frontend", password_env=None, password_command=command)
    ran = laptop.run("frontend", "--print-url")

    assert ran.exit_code == 4
    assert r"gpg: \x1b]0;owned\x07 no key" in ran.stderr
    assert "\x1b" not in ran.stderr


@by_url
def test_a_home_directory_is_the_one_of_the_daemon(environment: Environment, laptop: Laptop) -> None:
    daemon = laptop.connect("frontend", "--workdir", "~/.config")

    assert daemon.document["workdir"] == f"{environment.home}/.config"


@plain
def test_a_project_may_not_choose_what_is_trusted_or_sent(laptop: Laptop, tmp_path: Path) -> None:
    laptop.cwd = tmp_path
    for keys in ({"ca_file": "/ca.pem"}, {"allow_plain_password": True}, {"headers": {"X": "y"}}):
        definition = {"transport": "http", "url": "https://oc.example", **keys}
        (tmp_path / "opencode.json").write_text(json.dumps({"environments": {"theirs": definition}}))
        ran = laptop.run("theirs", "--print-url", "--trust")

        assert ran.exit_code == 2
        assert f"{next(iter(keys))} cannot be set in a project file" in ran.stderr


@plain
def test_a_person_types_the_password_and_gets_the_tui(
    environment: Environment, laptop: Laptop, workdir: Path
) -> None:
    laptop.save("frontend", password_env=None)
    password = environment.variables[PASSWORD_VARIABLE]
    with ArgumentRecorder() as recorder, terminal(laptop, workdir, "frontend") as opened:
        opened.wait_for("Password of opencode")
        opened.send_text("wrong")
        opened.send_keys("Enter")
        opened.wait_for("That was not accepted")
        opened.send_text(password)
        opened.send_keys("Enter")
        screen = opened.wait_for(READY, timeout=TUI_SECONDS)
        assert password not in screen
        assert leave(opened) == 0

    typing = ("tmux",)  # the test's own fingers
    assert not [argv for argv in recorder.showing(password) if argv[:1] != typing]


@behind_a_key
def test_headers_take_a_link_whose_port_has_a_password_of_its_own(
    environment: Environment, laptop: Laptop
) -> None:
    daemon = laptop.connect()
    real = environment.variables[PASSWORD_VARIABLE]

    assert len(laptop.links()) == 1
    assert daemon.document["url"].startswith("http://127.0.0.1:")
    assert real not in json.dumps(daemon.document)
    assert daemon.request("GET", "/global/health")[0] == http.client.OK
    credentials = base64.b64encode(f"opencode:{real}".encode()).decode()
    for headers in ({}, {"Authorization": f"Basic {credentials}"}):
        daemon._authorization = headers
        assert daemon.request("GET", "/global/health")[0] == http.client.UNAUTHORIZED
    assert laptop.connect().document["url"] == daemon.document["url"]
    assert laptop.run("--disconnect", "frontend").exit_code == 0
    wait_until(lambda: not laptop.links(), "the link to end")


@behind_a_key
def test_requests_while_the_gateway_is_away_are_answered_once_it_is_back(
    environment: Environment, laptop: Laptop, authority: Authority, tmp_path: Path
) -> None:
    (process,) = environment.processes()
    listening = [found for found in process.net_connections() if found.status == psutil.CONN_LISTEN]
    port = listening[0].laddr.port
    with Gateway(tmp_path, port, port=free_port(), authority=authority, wants_key=True) as gateway:
        laptop.save("frontend", url=gateway.url, ca_file=str(authority.file))
        daemon = laptop.connect()
        assert daemon.request("GET", "/global/health")[0] == http.client.OK
        gateway.close()
        with ThreadPoolExecutor() as pool:
            asked = pool.submit(daemon.request, "GET", "/global/health")
            wait_until(lambda: link_status(laptop)["held"], "the request to be held")
            gateway.start()

            assert asked.result(30)[0] == http.client.OK


@behind_a_key
def test_neither_header_nor_password_is_in_a_log_or_on_a_command_line(
    environment: Environment, laptop: Laptop
) -> None:
    with ArgumentRecorder() as recorder:
        ran = laptop.run("frontend", "--print-url", "--verbose")
    secrets = (KEY, environment.variables[PASSWORD_VARIABLE])
    logs = [file.read_text(errors="replace") for file in laptop.state.rglob("*") if file.is_file()]

    assert logs
    for secret in secrets:
        assert not recorder.showing(secret)
        assert secret not in ran.stderr
        assert not any(secret in log for log in logs)
