"""Logging in by paramiko's client: with keys, certificates, an agent, and what the user types."""

import base64
import gc
import logging
import os
import socket
import subprocess
import threading
import time
import traceback
from collections.abc import Iterator
from pathlib import Path

import paramiko
import pytest

from ocattach.cli.terminal import escape
from ocattach.errors import AuthenticationError, ConfigurationError, PersonNeededError, UnreachableError
from ocattach.transports.base import Question
from ocattach.transports.ssh.paramiko import login
from tests.rigs.machine import PASSWORD, Machine
from tests.rigs.namespaces import run
from tests.rigs.one_time_codes import code_of_now
from tests.rigs.waiting import wait_until
from tests.ssh.conftest import Person, is_connected
from tests.ssh.paramiko_client.conftest import Laptop, run_on

PASSPHRASE = "a passphrase of tests"


def let_in(machine: Machine, *keys: Path) -> None:
    """Have a machine accept these keys, until the test ends."""
    machine.write(".ssh/authorized_keys", "".join(Path(f"{key}.pub").read_text() for key in keys))


@pytest.fixture
def agent(laptop: Laptop, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """A real ssh-agent, which SSH_AUTH_SOCK names; it is refused what it asks the user for."""
    path = str(laptop.folder / "agent")
    environ = {**os.environ, "SSH_ASKPASS": "/bin/false", "SSH_ASKPASS_REQUIRE": "force"}
    argv = ["ssh-agent", "-D", "-a", path]
    with subprocess.Popen(argv, stdout=subprocess.DEVNULL, env=environ) as process:
        wait_until(lambda: Path(path).exists(), "the agent")
        monkeypatch.setenv("SSH_AUTH_SOCK", path)
        yield path
        process.terminate()


def add(*words: str | Path) -> None:
    """Add keys to the agent."""
    run("ssh-add", "-q", *words)


def test_a_locked_key_is_opened_with_its_passphrase(laptop: Laptop, main: Machine) -> None:
    key = laptop.make_key(passphrase=PASSPHRASE)
    let_in(main, key)
    laptop.configure(identity=key)
    person = Person(passphrase=PASSPHRASE)

    assert laptop.greet("main", person) == "machine-main"
    assert [(str(key) in question.text, question.secret) for question in person.asked] == [(True, True)]


@pytest.mark.parametrize(
    "options", [("-m", "PEM", "-t", "rsa"), ("-t", "rsa"), ("-t", "ecdsa"), ("-m", "PEM", "-t", "ecdsa")]
)
@pytest.mark.parametrize("passphrase", [PASSPHRASE, ""])
def test_keys_of_other_types_and_formats_are_used(
    laptop: Laptop, main: Machine, options: tuple[str, ...], passphrase: str
) -> None:
    key = laptop.make_key(passphrase=passphrase, options=options)
    let_in(main, key)
    laptop.configure(identity=key)

    assert laptop.greet("main", Person(passphrase=PASSPHRASE)) == "machine-main"


@pytest.mark.parametrize("passphrase", [PASSPHRASE, ""])
def test_a_key_in_a_format_that_paramiko_cannot_read_is_reported(laptop: Laptop, passphrase: str) -> None:
    laptop.configure(identity=laptop.make_key(passphrase=passphrase, options=("-m", "PKCS8", "-t", "ecdsa")))

    with pytest.raises(AuthenticationError, match="cannot be used without the ssh program") as raised:
        laptop.greet("main", Person(passphrase=PASSPHRASE))
    assert "OpenSSH" in raised.value.hint


ODD_KEYS = {
    "empty": (b"", "is empty"),
    "putty": (b"PuTTY-User-Key-File-3: ssh-ed25519\nPrivate-Lines: 1\nSECRET\n", "has PuTTY's format"),
    "public": (b"ssh-ed25519 AAAASECRET\n", "is a public key, whose private key is not in an agent"),
    "token": (b"SECRET\n", "is not a private key"),
    "binary": (b"\xff\x00SECRET", "is not a private key"),
    "cut": (b"-----BEGIN OPENSSH PRIVATE KEY-----\nSECRET", "is damaged, or cannot be used without the ssh"),
}


def test_odd_key_files_are_passed_over_and_named_with_the_cause(laptop: Laptop, main: Machine) -> None:
    (laptop.ssh / "folder").mkdir()
    os.mkfifo(laptop.ssh / "pipe")
    for name, (content, _) in ODD_KEYS.items():
        (laptop.ssh / name).write_bytes(content)
    causes = {name: cause for name, (_, cause) in ODD_KEYS.items()}
    causes |= {"folder": "is not a regular file", "pipe": "is not a regular file"}
    settings = "\n".join(f"IdentityFile {laptop.ssh / name}" for name in causes)
    key = laptop.make_key()
    laptop.configure(settings, identity=key)
    with pytest.raises(AuthenticationError) as raised:
        laptop.greet("main")
    for name, cause in causes.items():
        assert f"{laptop.ssh / name} ({cause}" in raised.value.message
    assert "SECRET" not in "".join(traceback.format_exception(raised.value))

    let_in(main, key)
    assert laptop.greet("main") == "machine-main"


@pytest.mark.parametrize("name", ["folder", "pipe", "none"])
def test_a_key_file_of_the_connection_that_cannot_be_read_is_named(laptop: Laptop, name: str) -> None:
    (laptop.ssh / "folder").mkdir()
    os.mkfifo(laptop.ssh / "pipe")
    cause = "does not exist" if name == "none" else "is not a regular file"
    with pytest.raises(UnreachableError, match=f"{laptop.ssh / name} {cause}"):
        laptop.greet("main", identity_file=str(laptop.ssh / name))


@pytest.mark.parametrize("end", [b"\n", b"\r\n"])
def test_a_key_is_used_whatever_its_line_ends(laptop: Laptop, main: Machine, end: bytes) -> None:
    key = laptop.make_key()
    let_in(main, key)
    key.write_bytes(key.read_bytes().replace(b"\n", end).strip())
    laptop.configure(identity=key)

    assert laptop.greet("main") == "machine-main"


def test_a_certificate_that_cannot_be_read_is_named_with_its_key(laptop: Laptop, main: Machine) -> None:
    key = laptop.make_key()
    let_in(main, key)
    key.with_name("key-cert.pub").write_text("ssh-ed25519-cert-v01@openssh.com AAAAodd\n")
    laptop.configure(identity=key)

    with pytest.raises(AuthenticationError, match=r"key \(or key-cert.pub beside it is damaged"):
        laptop.greet("main")


def security_key(file: Path) -> None:
    """Write the file of a key that is in a token (OpenSSH, PROTOCOL.key and PROTOCOL.u2f)."""

    def strings(*parts: str | bytes) -> bytes:
        message = paramiko.Message()
        for part in parts:
            message.add_string(part)
        return message.asbytes()

    public = strings("sk-ssh-ed25519@openssh.com", bytes(32), "ssh:")
    check = b"\0" * 8
    private = check + public + b"\x01" + strings("handle", "", "comment")
    private += bytes(range(1, 9))[: -len(private) % 8]
    header = b"openssh-key-v1\0" + strings("none", "none", "") + b"\0\0\0\x01"
    text = base64.encodebytes(header + strings(public, private)).decode()
    file.write_text(f"-----BEGIN OPENSSH PRIVATE KEY-----\n{text}-----END OPENSSH PRIVATE KEY-----\n")
    file.chmod(0o600)
    run("ssh-keygen", "-y", "-f", file)


def test_a_security_key_is_said_to_need_openssh(laptop: Laptop) -> None:
    security_key(laptop.ssh / "id_ed25519_sk")
    laptop.configure(identity=laptop.ssh / "id_ed25519_sk")

    with pytest.raises(
        AuthenticationError, match=r"_sk .is damaged, or cannot be used without the ssh program"
    ) as raised:
        laptop.greet("main")
    assert "OpenSSH" in raised.value.hint


def test_a_key_that_needs_no_passphrase_is_offered_first(laptop: Laptop, main: Machine) -> None:
    locked, good = laptop.make_key("locked", passphrase=PASSPHRASE), laptop.make_key("good")
    let_in(main, good)
    laptop.configure(f"IdentityFile {locked}", identity=good)

    assert laptop.greet("main") == "machine-main"


def test_a_passphrase_may_be_mistyped_twice(laptop: Laptop, main: Machine) -> None:
    key = laptop.make_key(passphrase=PASSPHRASE)
    let_in(main, key)
    laptop.configure(identity=key)
    typed = iter(["wrong", "also wrong", PASSPHRASE])

    assert laptop.greet("main", lambda _: next(typed)) == "machine-main"


def test_a_wrong_passphrase_is_reported_after_three_tries_without_saying_it(
    laptop: Laptop, main: Machine, caplog: pytest.LogCaptureFixture
) -> None:
    key = laptop.make_key(passphrase=PASSPHRASE)
    let_in(main, key)
    laptop.configure(identity=key)
    person = Person(passphrase="wrong-one")
    with caplog.at_level(logging.DEBUG), pytest.raises(AuthenticationError, match="passphrase") as raised:
        laptop.greet("main", person)

    assert len(person.asked) == 3
    assert f"ssh-add {key}" in raised.value.hint
    assert "wrong-one" not in caplog.text + "".join(traceback.format_exception(raised.value))


@pytest.mark.parametrize("host", ["main", "passwd", "codes"])
def test_without_a_terminal_that_is_what_is_missing(laptop: Laptop, host: str) -> None:
    laptop.configure(identity=laptop.make_key(passphrase=PASSPHRASE))

    def refuse(_: Question) -> str:
        raise PersonNeededError("nobody is here")

    with pytest.raises(PersonNeededError, match="nobody is here"):
        laptop.greet(host, refuse)


def test_the_key_of_the_connection_is_the_only_one(laptop: Laptop, main: Machine) -> None:
    key, other = laptop.make_key(), laptop.make_key("other")
    let_in(main, key)
    laptop.configure(identity=other)

    assert laptop.greet("main", identity_file="~/.ssh/key") == "machine-main"
    laptop.configure(identity=key)
    with pytest.raises(AuthenticationError, match=f"did not accept tester with {other} "):
        laptop.greet("main", identity_file=str(other))


def test_a_key_in_the_agent_is_used(laptop: Laptop, main: Machine, agent: str) -> None:
    key = laptop.make_key()
    let_in(main, key)
    add(key)
    key.unlink()
    none = laptop.folder / "none"
    for settings in ("", "IdentityAgent SSH_AUTH_SOCK", f"IdentityAgent {agent}"):
        laptop.configure(settings, identity=none)
        assert laptop.greet("main") == "machine-main"

    for settings in ("IdentityAgent none", "IdentitiesOnly yes"):
        laptop.configure(settings, identity=none)
        with pytest.raises(AuthenticationError):
            laptop.greet("main")


def test_another_agent_is_said_to_need_openssh(laptop: Laptop, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OTHER", "/run/other")
    for named in ("/run/other", "$OTHER", "~/agent"):
        laptop.configure(f"IdentityAgent {named}")
        with pytest.raises(ConfigurationError, match=r"IdentityAgent .* needs the ssh program"):
            laptop.greet("main")


def test_the_agent_is_never_forwarded(laptop: Laptop, main: Machine, agent: str) -> None:
    assert agent
    key = laptop.make_key()
    let_in(main, key)
    add(key)
    laptop.configure("ForwardAgent yes")

    printed = run_on(laptop.connect("main"), "sh", "-c", 'echo "${SSH_AUTH_SOCK-has none}"').stdout
    assert printed == b"has none\n"


@pytest.mark.usefixtures("agent")
@pytest.mark.parametrize("left", ["locked key", "public half"])
def test_a_key_that_is_named_and_in_the_agent_asks_for_nothing(
    laptop: Laptop, main: Machine, left: str
) -> None:
    others = [laptop.make_key(f"other-{number}") for number in range(7)]
    key = laptop.make_key()
    let_in(main, key)
    add(*others, key)
    if left == "locked key":
        run("ssh-keygen", "-q", "-p", "-N", PASSPHRASE, "-f", key)
    else:
        key.unlink()
    for settings in ("IdentitiesOnly yes", ""):
        laptop.configure(settings, identity=key)
        assert laptop.greet("main") == "machine-main"


@pytest.mark.usefixtures("agent")
def test_a_key_with_which_the_agent_does_not_sign_is_named(laptop: Laptop, main: Machine) -> None:
    guarded = laptop.make_key("guarded")
    let_in(main, guarded)
    add("-c", guarded)

    with pytest.raises(AuthenticationError, match="with agent key guarded: key cannot be used for signing"):
        laptop.greet("main")


@pytest.mark.filterwarnings(
    "ignore::pytest.PytestUnraisableExceptionWarning"
)  # paramiko leaves its socket open
def test_an_agent_that_does_not_answer_leaves_the_files(
    laptop: Laptop, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(login, "AGENT_SECONDS", 0.5)
    path = str(laptop.folder / "silent")
    monkeypatch.setenv("SSH_AUTH_SOCK", path)
    with socket.socket(socket.AF_UNIX) as server:
        server.bind(path)
        server.listen()
        assert laptop.greet("main") == "machine-main"
        server.accept()[0].close()
    wait_until(
        lambda: not [thread for thread in threading.enumerate() if thread.name == "ocattach-ssh-agent"],
        "the thread that waits for the agent",
    )
    gc.collect()


def test_too_many_keys_are_reported_with_what_to_do(laptop: Laptop, agent: str) -> None:
    assert agent
    add(*[laptop.make_key(f"other-{number}") for number in range(7)])

    with pytest.raises(AuthenticationError, match="other-0") as raised:
        laptop.greet("main")
    assert "IdentitiesOnly" in raised.value.hint


def test_a_key_that_the_host_refuses_is_named(laptop: Laptop) -> None:
    laptop.configure(identity=laptop.machines.stranger_identity)

    with pytest.raises(
        AuthenticationError, match=r"did not accept tester with .*stranger \(it accepts: publickey\)"
    ):
        laptop.greet("main")


@pytest.mark.parametrize(
    ("place", "options"),
    [
        ("beside the key", ()),
        ("beside the key", ("-t", "rsa")),
        ("beside the key", ("-t", "ecdsa")),
        ("agent", ()),
        ("agent", ("-t", "ecdsa")),
    ],
)
def test_a_certificate_opens_a_machine_that_knows_only_the_authority(
    laptop: Laptop, request: pytest.FixtureRequest, place: str, options: tuple[str, ...]
) -> None:
    key = laptop.make_key(options=options)
    certificate = laptop.machines.sign(key, "-n", laptop.machines.user)
    if place == "agent":
        request.getfixturevalue("agent")
        add(key)
        for file in (key, certificate, Path(f"{key}.pub")):
            file.unlink()
    laptop.configure(identity=key)

    assert laptop.greet("certified") == "machine-certified"


def test_a_password_is_asked_for_and_may_be_mistyped(laptop: Laptop) -> None:
    typed = iter(["wrong", PASSWORD])

    assert laptop.greet("passwd", lambda _: next(typed)) == "machine-passwd"


def test_a_wrong_password_is_reported_without_saying_it(
    laptop: Laptop, caplog: pytest.LogCaptureFixture
) -> None:
    person = Person(password="wrong-one")
    with caplog.at_level(logging.DEBUG), pytest.raises(AuthenticationError, match="did not accept") as raised:
        laptop.greet("passwd", person)

    assert len(person.asked) == 3
    assert "wrong-one" not in caplog.text + "".join(traceback.format_exception(raised.value))


def test_two_questions_are_asked_one_after_the_other(laptop: Laptop) -> None:
    person = Person(password=PASSWORD, code=code_of_now())

    assert laptop.greet("codes", person) == "machine-codes"
    assert [question.secret for question in person.asked] == [True, False]
    assert all("(tester@codes)" in question.text.splitlines()[-1] for question in person.asked)


def test_a_wrong_code_is_refused(laptop: Laptop) -> None:
    with pytest.raises(AuthenticationError, match="did not accept"):
        laptop.greet("codes", Person(password=PASSWORD, code="000000"))


def test_what_a_host_says_cannot_drive_the_terminal_nor_pass_for_us(laptop: Laptop) -> None:
    person = Person(password=PASSWORD, code=code_of_now())
    laptop.greet("codes", person)
    first, second = (question.text for question in person.asked)

    assert "Authorised people only" in first
    assert "Authorised" not in second
    assert "\x1b" not in escape(first)
    assert all(line.startswith("(tester@codes)") for line in first.splitlines())


def test_a_key_and_then_a_password_open_what_wants_both(laptop: Laptop) -> None:
    person = Person(password=PASSWORD)

    assert laptop.greet("steps", person) == "machine-steps"
    assert len(person.asked) == 1


def test_methods_that_the_user_has_switched_off_are_not_tried(laptop: Laptop) -> None:
    laptop.configure("PasswordAuthentication No\nKbdInteractiveAuthentication no")
    with pytest.raises(AuthenticationError, match="it accepts: "):
        laptop.greet("passwd")

    person = Person(password=PASSWORD)
    laptop.configure("KbdInteractiveAuthentication no\nPubkeyAuthentication no")
    assert laptop.greet("hasty", person) == "machine-hasty"
    assert [question.text for question in person.asked] == ["tester@hasty's password: "]


def test_nobody_is_asked_for_a_password_in_batch_mode(laptop: Laptop) -> None:
    laptop.configure("BatchMode yes", identity=laptop.make_key(passphrase=PASSPHRASE))

    for host in ("passwd", "codes", "main"):
        with pytest.raises(PersonNeededError, match="BatchMode is set"):
            laptop.greet(host)


@pytest.mark.parametrize("other", ["PasswordAuthentication", "KbdInteractiveAuthentication"])
def test_a_host_that_hangs_up_before_the_user_has_answered_is_reported(laptop: Laptop, other: str) -> None:
    address = laptop.machines["hasty"].address
    laptop.configure(f"{other} no\nPubkeyAuthentication no")

    def take_time(_: Question) -> str:
        wait_until(lambda: not is_connected(address), "the host to hang up")
        return PASSWORD

    with pytest.raises(AuthenticationError, match="ended the login") as raised:
        laptop.greet("hasty", take_time)
    assert "LoginGraceTime" in raised.value.hint


@pytest.mark.parametrize("host", ["passwd", "codes"])
def test_the_user_may_take_longer_than_the_connection_may(laptop: Laptop, host: str) -> None:
    seconds = 3.0
    began = time.monotonic()
    person = Person(password=PASSWORD, code=code_of_now())

    def take_time(question: Question) -> str:
        wait_until(lambda: time.monotonic() - began > seconds + 1, "the connection's own time to be over")
        return person(question)

    connection = laptop.connect(host, take_time, timeout=seconds)
    assert (connection.hostname, connection.user) == (laptop.machines[host].address, "tester")
