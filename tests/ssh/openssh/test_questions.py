"""Every question of ssh reaches the person, and the answers reach ssh alone."""

import logging
import sys
import time
import traceback
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from ocattach.errors import AuthenticationError, HostKeyError, OcattachError, PersonNeededError
from ocattach.transports.base import NoPerson, Question
from tests.rigs.machine import PASSWORD
from tests.rigs.namespaces import run
from tests.rigs.one_time_codes import code_of_now
from tests.rigs.processes import ArgumentRecorder, environments
from tests.rigs.ssh import SSHMachines
from tests.rigs.waiting import later, wait_until
from tests.ssh.conftest import Client, Person
from tests.ssh.openssh.conftest import QUESTION, URL, VISITED, Started

PASSPHRASE = "a passphrase of tests"
WRONG = "wrong-one"
SOON = 8
"""Seconds in which a failed login has ended, on a busy machine."""


@pytest.mark.parametrize("host", ["passwd", "inner"])
def test_without_a_person_the_error_has_the_question_and_no_process_is_left(
    client: Client, started: Started, host: str
) -> None:
    client.configure("Host inner\n  ProxyCommand ssh -W %h:%p passwd\nHost *")
    began = time.monotonic()

    def refuse(question: Question) -> str:
        raise AuthenticationError(f"There is no terminal to answer: {question.text}")

    with client.handler(host, refuse) as handler, pytest.raises(OcattachError) as raised:
        handler.check_available()
    assert "tester@" in str(raised.value)
    assert "password" in str(raised.value)
    assert time.monotonic() - began < SOON
    wait_until(lambda: not started(), "ssh to end", timeout=1)


@pytest.mark.parametrize(
    ("required", "display", "asked"), [("force", "", 0), ("prefer", ":0", 0), ("prefer", "", 1)]
)
def test_a_question_goes_to_the_users_own_program_where_ssh_would_use_it_in_a_terminal(
    client: Client, monkeypatch: pytest.MonkeyPatch, required: str, display: str, asked: int
) -> None:
    monkeypatch.setenv("SSH_ASKPASS", str(client.machines.askpass))
    monkeypatch.setenv("SSH_ASKPASS_REQUIRE", required)
    monkeypatch.delenv("WAYLAND_DISPLAY", raising=False)
    monkeypatch.delenv("DISPLAY", raising=False)
    if display:
        monkeypatch.setenv("DISPLAY", display)
    person = Person(password=PASSWORD)

    assert client.greet("passwd", person) == "machine-passwd"
    assert len(person.asked) == asked


ASKER = """
from ocattach.config.spec import ConnectionSpec
from ocattach.transports.ssh.transport import SSHTransport

spec = ConnectionSpec.from_entry({"transport": "ssh", "host": "passwd"})
with SSHTransport(spec, ask=lambda question: "%s", timeout=30) as handler:
    print(handler.run(["hostname"], timeout=60).stdout.decode())
"""


def test_a_question_is_asked_where_programs_in_the_directory_of_the_login_may_not_be_run(
    client: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    directory = client.folder / "run"
    directory.mkdir(mode=0o700)
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(directory))
    monkeypatch.setenv("OCATTACH_STATE_DIR", str(client.folder / "state"))
    mount = 'mount -t tmpfs -o noexec,mode=700 none "$1" && exec "$2" -c "$3"'
    script = ASKER % PASSWORD
    for _ in range(2):
        printed = run("unshare", "--mount", "sh", "-c", mount, "sh", directory, sys.executable, script)
        assert printed.strip() == "machine-passwd"


def test_work_in_the_background_fails_without_a_question(client: Client, started: Started) -> None:
    began = time.monotonic()
    with (
        client.handler("passwd", NoPerson("Nobody is there", "Run this")) as handler,
        pytest.raises(
            PersonNeededError, match=r"Nobody is there: passwd .* \(it accepts: .*password"
        ) as raised,
    ):
        handler.check_available()
    assert raised.value.hint == "Run this"
    assert time.monotonic() - began < SOON
    assert not started()


def test_an_interrupt_during_a_question_ends_ssh(client: Client, started: Started) -> None:
    def interrupt(_: Question) -> str:
        raise KeyboardInterrupt

    with client.handler("passwd", interrupt) as handler, pytest.raises(KeyboardInterrupt):
        handler.check_available()
    assert not started()


def test_a_question_in_another_language_arrives_unchanged(
    client: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("LC_ALL", "C.UTF-8")
    person = Person(password=PASSWORD, heute=code_of_now())

    assert client.greet("foreign", person) == "machine-foreign"
    assert [QUESTION in asked.text for asked in person.asked] == [False, True]


def test_an_answer_is_passed_on_unchanged(client: Client, machines: SSHMachines) -> None:
    passphrase = " \\ $(id) 'ü合 "
    key = client.make_key(passphrase=passphrase)
    machines["main"].write(".ssh/authorized_keys", Path(f"{key}.pub").read_text())
    client.configure(identity=key)

    assert client.greet("main", Person(passphrase=passphrase)) == "machine-main"


def test_two_hosts_that_ask_at_once_get_their_own_answers(client: Client) -> None:
    first, second = Person(password=PASSWORD), Person(password=PASSWORD, heute=code_of_now())
    with ThreadPoolExecutor(2) as pool:
        greetings = [pool.submit(client.greet, "passwd", first), pool.submit(client.greet, "foreign", second)]

    assert [greeting.result() for greeting in greetings] == ["machine-passwd", "machine-foreign"]
    assert [len(person.asked) for person in (first, second)] == [1, 2]


def test_an_answer_is_neither_in_arguments_nor_in_variables_nor_in_a_log(
    client: Client, caplog: pytest.LogCaptureFixture
) -> None:
    seen: list[int] = []
    log = client.folder / "debug"
    client.configure("LogLevel DEBUG3")
    shim = client.folder / "bin/ssh"
    shim.write_text(shim.read_text().replace(" -F ", f" -E {log} -F "))
    person = Person(password=PASSWORD)

    def look_and_answer(question: Question) -> str:
        seen.extend(pid for pid, variables in environments() if PASSWORD in str(variables))
        return person(question)

    with (
        ArgumentRecorder() as recorder,
        caplog.at_level(logging.DEBUG),
        client.handler("passwd", look_and_answer) as handler,
    ):
        handler.check_available()
        seen.extend(pid for pid, variables in environments() if PASSWORD in str(variables))
        handler.run(["hostname"], timeout=20)
    assert person.asked
    assert not recorder.showing(PASSWORD)
    assert recorder.rounds > 10
    assert not seen
    assert PASSWORD not in caplog.text + log.read_text(errors="replace")


def test_a_refused_answer_is_not_in_the_error(client: Client) -> None:
    client.configure("NumberOfPasswordPrompts 1")
    person = Person(password=WRONG)
    with pytest.raises(AuthenticationError) as raised:
        client.greet("passwd", person)

    assert person.asked
    assert WRONG not in "".join(traceback.format_exception(raised.value))


@pytest.mark.parametrize(
    "settings", ["ProxyCommand ssh -W %h:%p passwd", "ProxyJump passwd"], ids=["command", "jump"]
)
def test_a_question_of_the_bastion_reaches_the_person(
    client: Client, machines: SSHMachines, settings: str
) -> None:
    client.configure(f"Host inner\n  {settings}\nHost *")
    person = Person(password=PASSWORD)

    assert client.greet("inner", person) == "machine-inner"
    (asked,) = person.asked
    assert f"tester@{machines['passwd'].address}'s password" in asked.text
    assert asked.secret


def test_a_page_to_visit_is_shown_before_the_login_is_complete(client: Client, machines: SSHMachines) -> None:
    visited = machines["visit"].confined.path(VISITED)
    visited.unlink(missing_ok=True)

    class Visitor(Person):
        def __call__(self, question: Question) -> str:
            if URL in question.text:
                visited.touch()
            return super().__call__(question)

    person = Visitor()
    assert client.greet("visit", person) == "machine-visit"
    assert len([notice for notice in person.notices if URL in notice]) == 1
    assert not person.asked


def test_a_page_may_be_visited_later_than_the_connection_may_take(
    client: Client, machines: SSHMachines
) -> None:
    visited = machines["visit"].confined.path(VISITED)
    visited.unlink(missing_ok=True)
    with later(3, visited.touch), client.handler("visit") as handler:
        handler.timeout = 2
        handler.check_available()


def test_a_host_known_by_a_key_of_another_kind_is_refused_as_ssh_refuses_it(
    client: Client, machines: SSHMachines
) -> None:
    other = client.make_key("other", options=("-t", "rsa"))
    kind, base64 = Path(f"{other}.pub").read_text().split()[:2]
    client.forget_hosts("StrictHostKeyChecking ask")
    client.known_hosts.write_text(f"{machines['main'].address} {kind} {base64}\n")
    before = client.known_hosts.read_text()

    with pytest.raises(HostKeyError, match="ED25519") as raised:
        client.greet("main")
    assert f"ssh-keygen -f {client.known_hosts} -R {machines['main'].address}" in raised.value.hint
    assert client.known_hosts.read_text() == before


def test_a_login_whose_last_notice_cannot_be_shown_leaves_no_connection(
    client: Client, started: Started
) -> None:
    client.forget_hosts("StrictHostKeyChecking accept-new")

    def hung_up(question: Question) -> str:
        assert question.notice
        raise OcattachError("The command is gone")

    with client.handler("main", hung_up) as handler, pytest.raises(OcattachError, match="is gone"):
        handler.check_available()

    wait_until(lambda: not started(), "ssh to end")
