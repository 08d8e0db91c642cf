"""Where the password comes from, where it goes, and what is said when it is not the right one."""

import sys
from pathlib import Path

import pytest

from ocattach.errors import AuthenticationError, UsageError
from ocattach.transports.base import Question
from tests.http.conftest import Open
from tests.rigs.http_daemon import PASSWORD, HandStartedDaemon
from tests.rigs.http_proxy import forward_proxy
from tests.rigs.http_servers import answer, serve
from tests.rigs.processes import ArgumentRecorder

WANTS_PASSWORD = answer("401 Unauthorized", headers='WWW-Authenticate: Basic realm="Secure Area"\r\n')
ELSEWHERE = "http://decoy.example:4096"
"""Another machine, as far as the client can tell: it is reached through a proxy."""


def printing(text: str, *, said: str = "", code: int = 0) -> list[str]:
    """A command that prints so; escapes are written out."""
    return ["sh", "-c", 'printf %b "$1"; printf %b "$2" >&2; exit "$3"', "sh", text, said, str(code)]


class Person:
    """Somebody who types these answers."""

    def __init__(self, *answers: str) -> None:
        self.answers = list(answers)
        self.questions: list[Question] = []

    def __call__(self, question: Question) -> str:
        self.questions.append(question)
        return self.answers.pop(0)


def test_the_variable_that_is_named_holds_the_password(
    open_url: Open, daemon: HandStartedDaemon, monkeypatch: pytest.MonkeyPatch
) -> None:
    with open_url(daemon.url, password_env="TEAM_PASSWORD") as handler:
        with pytest.raises(AuthenticationError, match=r"variable TEAM_PASSWORD, which is not set"):
            handler.check_available()
        monkeypatch.setenv("TEAM_PASSWORD", "wrong")
        with pytest.raises(
            AuthenticationError, match="the password from the variable TEAM_PASSWORD"
        ) as raised:
            handler.check_available()
        monkeypatch.setenv("TEAM_PASSWORD", daemon.password)
        found = handler.check_daemon_running().daemon

    assert raised.value.exit_code == 4
    assert "wrong" not in raised.value.message
    assert found is not None
    assert (found.port, found.password) == (daemon.port, daemon.password)


@pytest.mark.parametrize("end", ["", r"\n", r"\r\n"])
def test_the_command_that_is_named_prints_the_password(
    open_url: Open, daemon: HandStartedDaemon, end: str
) -> None:
    with open_url(daemon.url, password_command=printing(PASSWORD + end)) as handler:
        assert handler.check_daemon_running().running


def test_a_command_gets_its_arguments_as_they_are_and_no_shell(
    open_url: Open, daemon: HandStartedDaemon, tmp_path: Path
) -> None:
    touched = tmp_path / "touched"
    with open_url(daemon.url, password_command=printing(PASSWORD, said=f"$(touch {touched})")) as handler:
        assert handler.check_daemon_running().running

    assert not touched.exists()


@pytest.mark.parametrize(
    ("command", "words"),
    [
        (printing("", said=r"gpg: \033[31mno key", code=2), r"failed with exit code 2: gpg: \x1b\[31mno key"),
        (printing(""), "printed none"),
        (printing(r"two\nlines\n"), "line breaks"),
        (["/no/such/program"], "failed with exit code 127"),
        ([sys.executable, "-c", "import time; time.sleep(60)"], "did not end in 1 s"),
    ],
)
def test_a_command_that_gives_no_password_is_told_with_what_it_said(
    open_url: Open, command: list[str], words: str
) -> None:
    with (
        serve(WANTS_PASSWORD) as server,
        open_url(server.url, password_command=command, timeout=1) as handler,
        pytest.raises(AuthenticationError, match=words) as raised,
    ):
        handler.check_available()

    assert raised.value.exit_code == 4
    assert f"the command {command[0]}" in raised.value.message
    assert not server.heads


def test_a_person_is_asked_only_where_a_password_is_wanted(open_url: Open) -> None:
    health = answer("200 OK", '{"healthy": true, "version": "1.18.33"}')
    with serve(health) as server, open_url(server.url) as handler:
        handler.check_available()

    assert "Authorization" not in server.heads[0]


def test_a_person_may_type_the_password_again_and_is_asked_no_more_once_it_is_right(
    open_url: Open, daemon: HandStartedDaemon
) -> None:
    person = Person("wrong", daemon.password)
    with open_url(daemon.url, ask=person) as handler:
        handler.check_available()
        found = handler.check_daemon_running().daemon

    assert [question.secret for question in person.questions] == [True, True]
    assert f"opencode for {daemon.url}" in person.questions[0].text
    assert "not accepted" in person.questions[1].text
    assert found is not None
    assert found.password == daemon.password


def test_after_three_wrong_answers_nobody_is_asked_again(open_url: Open, daemon: HandStartedDaemon) -> None:
    person = Person("one", "two", "three", "four")
    with (
        open_url(daemon.url, ask=person, username="me") as handler,
        pytest.raises(AuthenticationError, match="does not accept me with the password from your terminal"),
    ):
        handler.check_available()

    assert person.answers == ["four"]


def test_no_answer_is_no_password(open_url: Open) -> None:
    with (
        serve(WANTS_PASSWORD) as server,
        open_url(server.url, ask=Person("")) as handler,
        pytest.raises(AuthenticationError, match="No password was typed"),
    ):
        handler.check_available()

    assert len(server.heads) == 1


@pytest.mark.parametrize(
    "keys", [{"password_command": printing(PASSWORD)}, {"headers": {"X-Token": "t0ken"}}]
)
def test_a_decoy_on_another_machine_gets_neither_password_nor_headers_in_the_clear(
    open_url: Open, monkeypatch: pytest.MonkeyPatch, keys: dict[str, object]
) -> None:
    with serve(WANTS_PASSWORD) as decoy, forward_proxy(decoy.port) as proxy:
        monkeypatch.setenv("HTTP_PROXY", proxy.url)
        with (
            open_url(ELSEWHERE, **keys) as handler,
            pytest.raises(AuthenticationError, match="clear") as raised,
        ):
            handler.check_available()

        assert not proxy.heads
        assert "allow_plain_password: true" in raised.value.hint
        assert raised.value.exit_code == 4


def test_a_person_is_not_asked_for_a_password_that_would_go_in_the_clear(
    open_url: Open, monkeypatch: pytest.MonkeyPatch
) -> None:
    person = Person("s3cret")
    with serve(WANTS_PASSWORD) as decoy, forward_proxy(decoy.port) as proxy:
        monkeypatch.setenv("HTTP_PROXY", proxy.url)
        with (
            open_url(ELSEWHERE, ask=person) as handler,
            pytest.raises(AuthenticationError, match="clear"),
        ):
            handler.check_available()

        assert len(proxy.heads) == 1
    assert not person.questions


def test_a_password_goes_in_the_clear_where_the_user_allows_it_for_the_connection(
    open_url: Open, daemon: HandStartedDaemon, monkeypatch: pytest.MonkeyPatch
) -> None:
    with forward_proxy(daemon.port) as proxy:
        monkeypatch.setenv("HTTP_PROXY", proxy.url)
        with open_url(
            "http://elsewhere.example", password_command=printing(PASSWORD), allow_plain_password=True
        ) as handler:
            assert handler.check_daemon_running().running

        assert all("Authorization: Basic" in head for head in proxy.heads)


def test_a_command_runs_once_for_all_requests_and_its_password_is_on_no_command_line(
    open_url: Open, daemon: HandStartedDaemon, tmp_path: Path
) -> None:
    secret, runs = tmp_path / "secret", tmp_path / "runs"
    secret.write_text(PASSWORD)
    command = ["sh", "-c", 'echo >>"$1"; cat "$2"', "sh", str(runs), str(secret)]
    with ArgumentRecorder() as recorder, open_url(daemon.url, password_command=command) as handler:
        handler.check_available()
        handler.check_daemon_running()

    assert runs.read_text() == "\n"
    assert not recorder.showing(PASSWORD)


def test_two_ways_to_authenticate_exclude_each_other(open_url: Open) -> None:
    with pytest.raises(UsageError, match="Authorization"):
        open_url("http://localhost", headers={"authorization": "Bearer x"}, password_env="X")
