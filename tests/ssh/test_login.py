"""Logging in with keys, certificates, an agent, and what a person types; nothing of it is kept or shown."""

import logging
import os
import shutil
import subprocess
import time
import traceback
from collections.abc import Iterator
from pathlib import Path

import pytest

from ocattach.cli.terminal import escape
from ocattach.errors import AuthenticationError
from ocattach.transports.base import Question
from tests.rigs.machine import PASSWORD, Machine
from tests.rigs.namespaces import run
from tests.rigs.one_time_codes import code_of_now
from tests.rigs.ssh import SSHMachines
from tests.rigs.waiting import wait_until
from tests.ssh.conftest import Client, Person, is_connected

PASSPHRASE = "a passphrase of tests"


def let_in(machine: Machine, *keys: Path) -> None:
    """Have a machine accept further keys, until the test ends."""
    lines = "".join(Path(f"{key}.pub").read_text() for key in keys)
    machine.write(".ssh/authorized_keys", lines)


@pytest.fixture
def main(main: Machine) -> Iterator[Machine]:
    """The plain machine, which goes back to its own key."""
    before = (main.home / ".ssh/authorized_keys").read_text()
    yield main
    main.write(".ssh/authorized_keys", before)


@pytest.fixture
def agent(workdir: Path) -> Iterator[str]:
    """A real ssh-agent; its socket."""
    path = str(workdir / "agent")
    with subprocess.Popen(["ssh-agent", "-D", "-a", path], stdout=subprocess.DEVNULL) as process:
        wait_until(lambda: Path(path).exists(), "the agent")
        yield path
        process.terminate()


def add_to(agent: str, *words: str | Path) -> None:
    done = subprocess.run(
        ["ssh-add", *map(str, words)],
        env={**os.environ, "SSH_AUTH_SOCK": agent},
        capture_output=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr


def test_an_encrypted_key_is_opened_once_with_its_passphrase(client: Client, main: Machine) -> None:
    key = client.make_key(passphrase=PASSPHRASE)
    let_in(main, key)
    client.configure(identity=key)
    person = Person(passphrase=PASSPHRASE)
    with client.handler("main", person) as handler:
        for _ in range(2):
            assert handler.run(["hostname"], timeout=60).stdout == b"machine-main\n"

    assert [(str(key) in question.text, question.secret) for question in person.asked] == [(True, True)]


@pytest.mark.parametrize(
    "options", [("-m", "PEM", "-t", "rsa"), ("-t", "ecdsa"), ("-m", "PKCS8", "-t", "ecdsa")]
)
def test_encrypted_keys_of_other_formats_are_opened(
    client: Client, main: Machine, options: tuple[str, ...]
) -> None:
    key = client.make_key(passphrase=PASSPHRASE, options=options)
    let_in(main, key)
    client.configure(identity=key)

    assert client.greet("main", Person(passphrase=PASSPHRASE)) == "machine-main"


def test_a_key_that_the_host_would_not_take_is_not_opened(client: Client, main: Machine) -> None:
    locked, good = client.make_key("locked", passphrase=PASSPHRASE), client.make_key("good")
    let_in(main, good)
    client.configure(f"IdentityFile {locked}", identity=good)

    assert client.greet("main") == "machine-main"


def test_a_passphrase_may_be_mistyped_twice(client: Client, main: Machine) -> None:
    key = client.make_key(passphrase=PASSPHRASE)
    let_in(main, key)
    client.configure(identity=key)
    typed = iter(["wrong", "also wrong", PASSPHRASE])

    assert client.greet("main", lambda _: next(typed)) == "machine-main"


def test_a_wrong_passphrase_is_told_after_three_tries_without_saying_it(
    client: Client, main: Machine, caplog: pytest.LogCaptureFixture
) -> None:
    key = client.make_key(passphrase=PASSPHRASE)
    let_in(main, key)
    client.configure(identity=key)
    person = Person(passphrase="wrong-one")
    with caplog.at_level(logging.DEBUG), pytest.raises(AuthenticationError, match="passphrase") as raised:
        client.greet("main", person)

    assert len(person.asked) == 3
    assert "wrong-one" not in caplog.text + "".join(traceback.format_exception(raised.value))


def test_a_key_in_the_agent_is_used(
    client: Client, main: Machine, agent: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    key = client.make_key()
    let_in(main, key)
    add_to(agent, key)
    monkeypatch.setenv("SSH_AUTH_SOCK", agent)
    client.configure("IdentityAgent SSH_AUTH_SOCK\nIdentitiesOnly no", identity=client.folder / "none")

    assert client.greet("main") == "machine-main"
    client.configure("IdentityAgent none\nIdentitiesOnly no", identity=client.folder / "none")
    with pytest.raises(AuthenticationError):
        client.greet("main")
    client.configure("IdentityAgent SSH_AUTH_SOCK\nIdentitiesOnly yes", identity=client.folder / "none")
    with pytest.raises(AuthenticationError):
        client.greet("main")


def test_the_agent_is_never_forwarded(
    client: Client, main: Machine, agent: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    key = client.make_key()
    let_in(main, key)
    add_to(agent, key)
    monkeypatch.setenv("SSH_AUTH_SOCK", agent)
    client.configure(
        "ForwardAgent yes\nIdentityAgent SSH_AUTH_SOCK\nIdentitiesOnly no", identity=client.folder / "none"
    )
    look = ["sh", "-c", 'echo "$(hostname) ${SSH_AUTH_SOCK-has none}"']

    openssh = subprocess.run(["ssh", "main", look[-1]], check=True, capture_output=True, text=True)
    assert "/" in openssh.stdout, "what it would be if it were"
    with client.handler("main") as handler:
        assert handler.run(look, timeout=60).stdout == b"machine-main has none\n"


@pytest.mark.parametrize("written", ["path", "variable"])
def test_the_agent_is_the_one_that_the_configuration_names(
    client: Client, main: Machine, agent: str, monkeypatch: pytest.MonkeyPatch, written: str
) -> None:
    key = client.make_key()
    let_in(main, key)
    add_to(agent, key)
    monkeypatch.setenv("OWN_AGENT", agent)
    named = agent if written == "path" else "$OWN_AGENT"
    client.configure(f"IdentityAgent {named}\nIdentitiesOnly no", identity=client.folder / "none")

    assert client.greet("main") == "machine-main"


@pytest.mark.parametrize("left", ["locked key", "public half"])
def test_a_key_that_is_named_and_in_the_agent_asks_for_nothing(
    client: Client, main: Machine, agent: str, left: str
) -> None:
    others = [client.make_key(f"other-{number}") for number in range(7)]
    key = client.make_key()
    let_in(main, key)
    add_to(agent, *others, key)
    if left == "locked key":
        run("ssh-keygen", "-q", "-p", "-N", PASSPHRASE, "-f", key)
    else:
        key.unlink()
    client.configure(f"IdentityAgent {agent}\nIdentitiesOnly yes", identity=key)

    assert client.greet("main") == "machine-main"


def test_an_agent_that_does_not_answer_leaves_the_files(client: Client) -> None:
    client.configure(f"IdentityAgent {client.folder}/nobody")

    assert client.greet("main") == "machine-main"


def test_too_many_keys_are_told_with_what_to_do(client: Client, agent: str) -> None:
    add_to(agent, *[client.make_key(f"other-{number}") for number in range(7)])
    client.configure(f"IdentityAgent {agent}\nIdentitiesOnly no")

    with pytest.raises(AuthenticationError, match="too many") as raised:
        client.greet("main")
    assert "IdentitiesOnly" in raised.value.hint


@pytest.mark.parametrize("options", [(), ("-t", "rsa"), ("-t", "ecdsa")])
@pytest.mark.parametrize("place", ["beside the key", "named", "agent"])
def test_a_certificate_opens_a_machine_that_knows_only_the_authority(
    client: Client, machines: SSHMachines, agent: str, place: str, options: tuple[str, ...]
) -> None:
    key = client.make_key(options=options)
    certificate = machines.sign(key, "-n", machines.user)
    settings = ""
    if place == "named":
        settings = f"CertificateFile {shutil.move(certificate, client.folder / 'elsewhere.pub')}"
    if place == "agent":
        add_to(agent, key)
        for file in (key, certificate, Path(f"{key}.pub")):
            file.unlink()
        settings = f"IdentityAgent {agent}\nIdentitiesOnly no"
    client.configure(settings, identity=key)

    assert client.greet("certified") == "machine-certified"


def test_a_certificate_for_somebody_else_opens_nothing(client: Client, machines: SSHMachines) -> None:
    key = client.make_key()
    machines.sign(key, "-n", "somebody-else")
    client.configure(identity=key)

    with pytest.raises(AuthenticationError, match="did not accept"):
        client.greet("certified")


def test_a_password_is_asked_for_and_may_be_mistyped(client: Client) -> None:
    typed = iter(["wrong", PASSWORD])
    notices = []

    def answer(question: Question) -> str:
        if not question.notice:
            return next(typed)
        notices.append(question.text)
        return ""

    assert client.greet("passwd", answer) == "machine-passwd"
    assert notices == ["passwd: Permission denied, please try again."]


def test_a_wrong_password_is_told_without_saying_it(client: Client, caplog: pytest.LogCaptureFixture) -> None:
    person = Person(password="wrong-one")
    with caplog.at_level(logging.DEBUG), pytest.raises(AuthenticationError, match="did not accept") as raised:
        client.greet("passwd", person)

    assert len(person.asked) == 3
    assert "wrong-one" not in caplog.text + str(raised.value) + repr(raised.value.__cause__)


def test_two_questions_are_asked_one_after_the_other(client: Client) -> None:
    person = Person(password=PASSWORD, code=code_of_now())

    assert client.greet("codes", person) == "machine-codes"
    address = client.machines["codes"].address
    assert [question.text for question in person.asked] == [
        f"(tester@{address}) Password: ",
        f"(tester@{address}) Verification code: ",
    ]
    assert all(question.secret for question in person.asked), "ssh does not say which may be seen"


def test_a_wrong_code_is_refused(client: Client) -> None:
    client.configure("NumberOfPasswordPrompts 1")

    with pytest.raises(AuthenticationError, match="did not accept"):
        client.greet("codes", Person(password=PASSWORD, code="000000"))


def test_what_a_host_says_cannot_drive_the_terminal_nor_pass_for_us(client: Client) -> None:
    person = Person(password=PASSWORD, code=code_of_now())
    client.greet("codes", person)

    assert person.notices[0] == "codes: Authorised people only"
    assert all("\x1b" not in escape(notice) for notice in person.notices)
    assert all(line.startswith("codes: ") for notice in person.notices for line in notice.splitlines())
    assert not any("Authorised" in question.text for question in person.asked)


def test_a_key_and_then_a_password_open_what_wants_both(client: Client) -> None:
    person = Person(password=PASSWORD)

    assert client.greet("steps", person) == "machine-steps"
    assert len(person.asked) == 1


def test_ways_that_the_user_has_switched_off_are_not_tried(client: Client) -> None:
    client.configure("PasswordAuthentication no\nKbdInteractiveAuthentication no")
    with pytest.raises(AuthenticationError, match="it accepts: "):
        client.greet("passwd")

    client.configure("PreferredAuthentications password")
    assert client.greet("hasty", Person(password=PASSWORD)) == "machine-hasty"


def test_nobody_is_asked_for_a_password_in_batch_mode(client: Client) -> None:
    client.configure("BatchMode yes")

    with pytest.raises(AuthenticationError):
        client.greet("passwd")


def test_a_host_that_hangs_up_before_somebody_has_answered_is_told(client: Client) -> None:
    address = client.machines["hasty"].address
    client.configure("PreferredAuthentications password")

    def take_time(_: Question) -> str:
        wait_until(lambda: not is_connected(address), "the host to hang up")
        return PASSWORD

    with pytest.raises(AuthenticationError, match="ended the login") as raised:
        client.greet("hasty", take_time)
    assert "LoginGraceTime" in raised.value.hint


@pytest.mark.parametrize("host", ["passwd", "codes"])
def test_a_person_may_take_longer_than_the_connection_may(client: Client, host: str) -> None:
    seconds = 3.0
    began = time.monotonic()
    person = Person(password=PASSWORD, code=code_of_now())

    def take_time(question: Question) -> str:
        wait_until(lambda: time.monotonic() - began > seconds + 1, "the connection's own time to be over")
        return person(question)

    with client.handler(host, take_time) as handler:
        handler.timeout = seconds
        assert handler.check_available().summary == f"Logged in to {client.machines[host].address} as tester"
