"""Hosts that ask without end, or do not answer: the user is asked a bounded number of bounded questions."""

import socket
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager

import paramiko
import pytest
from paramiko.common import AUTH_FAILED, AUTH_PARTIALLY_SUCCESSFUL
from paramiko.server import InteractiveQuery

from ocattach.errors import AuthenticationError
from ocattach.transports.base import Question
from ocattach.transports.ssh.paramiko.login import MAX_ROUNDS, MAX_TEXT
from tests.ssh.conftest import Person
from tests.ssh.paramiko_client.conftest import Laptop

SECONDS = 2.0
SOON = 10


class Host(paramiko.ServerInterface):
    """A host with one method of authentication, which sends the same prompts again and again."""

    def __init__(self, method: str, prompts: list[tuple[str, bool]], silent: threading.Event | None) -> None:
        self.method = method
        self.query = InteractiveQuery("title\x1b", "instructions", *prompts)
        self.silent = silent
        """Until it is set, nothing is answered."""

    def get_allowed_auths(self, username: str) -> str:  # noqa: ARG002
        return self.method

    def check_auth_none(self, username: str) -> int:  # noqa: ARG002
        return AUTH_FAILED

    def wait(self) -> None:
        if self.silent:
            self.silent.wait(60)

    def check_auth_password(self, username: str, password: str) -> int:  # noqa: ARG002
        self.wait()
        return AUTH_FAILED

    def check_auth_publickey(self, username: str, key: paramiko.PKey) -> int:  # noqa: ARG002
        self.wait()
        return AUTH_PARTIALLY_SUCCESSFUL

    def check_auth_interactive(
        self,
        username: str,  # noqa: ARG002
        submethods: bytes | str,  # noqa: ARG002
    ) -> InteractiveQuery:
        return self.query

    def check_auth_interactive_response(
        self,
        responses: list[str],  # noqa: ARG002
    ) -> InteractiveQuery:
        self.wait()
        return self.query


@contextmanager
def host(method: str, *prompts: tuple[str, bool], is_silent: bool = False) -> Iterator[int]:
    """Serve one client; the port."""
    silent = threading.Event()
    with socket.create_server(("127.0.0.1", 0)) as server:

        def serve() -> None:
            transport = paramiko.Transport(server.accept()[0])
            transport.add_server_key(paramiko.RSAKey.generate(2048))
            transport.start_server(server=Host(method, list(prompts), silent if is_silent else None))
            transport.join()
            transport.close()

        thread = threading.Thread(target=serve)
        thread.start()
        try:
            yield int(server.getsockname()[1])
        finally:
            silent.set()
            thread.join()


@pytest.fixture(autouse=True)
def _no_host_is_known(laptop: Laptop) -> None:
    laptop.configure("StrictHostKeyChecking no\nUserKnownHostsFile none")


def test_questions_without_end_are_cut_off(laptop: Laptop) -> None:
    person = Person(more="answer")
    with (
        host("keyboard-interactive", ("more?", True)) as port,
        pytest.raises(AuthenticationError, match=r"ended the login .*it asked more than"),
    ):
        laptop.greet("127.0.0.1", person, port=port)

    assert len(person.asked) == MAX_ROUNDS


def test_requests_without_questions_are_cut_off(laptop: Laptop) -> None:
    with host("keyboard-interactive") as port, pytest.raises(AuthenticationError, match="asked more than"):
        laptop.greet("127.0.0.1", port=port)


def test_many_questions_at_once_are_refused(laptop: Laptop) -> None:
    prompts = [(f"question {number}?", True) for number in range(17)]
    with (
        host("keyboard-interactive", *prompts) as port,
        pytest.raises(AuthenticationError, match="17 questions at once"),
    ):
        laptop.greet("127.0.0.1", port=port)


def test_a_long_question_is_shortened_and_marked(laptop: Laptop) -> None:
    asked: list[Question] = []

    def answer(question: Question) -> str:
        asked.append(question)
        return "yes"

    with (
        host(
            "keyboard-interactive", ("line\n" * 20_000 + "Enter passphrase for key '~/.ssh/id': ", True)
        ) as port,
        pytest.raises(AuthenticationError),
    ):
        laptop.greet("127.0.0.1", answer, port=port)

    lines = asked[0].text.splitlines()
    assert all(line.startswith("(tester@127.0.0.1)") for line in lines)
    assert len(asked[0].text) < 10 * MAX_TEXT


@pytest.mark.parametrize("method", ["password", "publickey", "keyboard-interactive"])
def test_a_host_that_does_not_answer_an_attempt_is_not_waited_for(laptop: Laptop, method: str) -> None:
    began = time.monotonic()
    with (
        host(method, ("more?", True), is_silent=True) as port,
        pytest.raises(AuthenticationError, match="ended the login"),
    ):
        laptop.greet("127.0.0.1", Person(password="a", more="b"), port=port, timeout=SECONDS)

    assert time.monotonic() - began < SOON
    assert not laptop.threads()


def test_a_host_that_accepts_every_key_but_never_all_is_given_up(laptop: Laptop) -> None:
    with host("publickey") as port, pytest.raises(AuthenticationError, match="did not accept"):
        laptop.greet("127.0.0.1", port=port)
