"""Keys in security keys and smart cards: what ssh asks for them reaches the person, a request to touch included."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from ocattach.errors import AuthenticationError
from ocattach.transports.base import Question
from tests.rigs.availability import require
from tests.rigs.directories import short_directory
from tests.rigs.machine import Machine
from tests.rigs.pkcs11 import PIN, SmartCard, smart_card
from tests.rigs.security_keys import SecurityKey
from tests.rigs.waiting import later
from tests.ssh.conftest import Client, Person

PASSPHRASE = "a passphrase of tests"


@pytest.fixture
def security_key(workdir: Path, monkeypatch: pytest.MonkeyPatch) -> SecurityKey:
    """A security key that is plugged in."""
    with require("ssh-variants"):
        key = SecurityKey(workdir)
    monkeypatch.setenv("SSH_SK_HELPER", str(key.helper))
    return key


class Toucher(Person):
    """Somebody who touches the security key when the request to do so is shown, and not before."""

    def __init__(self, key: SecurityKey, **answers: str) -> None:
        super().__init__(**answers)
        self._key = key

    def __call__(self, question: Question) -> str:
        if "presence" in question.text:
            self._key.touch()
        return super().__call__(question)


@pytest.fixture(scope="module")
def _card() -> Iterator[SmartCard]:
    with require("ssh-variants"), short_directory() as folder:
        yield smart_card(folder)


@pytest.fixture
def card(_card: SmartCard, main: Machine, monkeypatch: pytest.MonkeyPatch) -> SmartCard:
    """A smart card whose key the plain machine accepts."""
    for name, value in _card.environment.items():
        monkeypatch.setenv(name, value)
    let_in(main, _card.key)
    return _card


def make_key(client: Client, security_key: SecurityKey, *options: str, passphrase: str = "") -> Path:
    """A key pair whose private half is in the security key."""
    security_key.touch()
    key = client.make_key(passphrase=passphrase, options=("-w", str(security_key.provider), *options))
    security_key.release()
    return key


def let_in(machine: Machine, key: Path) -> None:
    """Have a machine accept no other key."""
    machine.write(".ssh/authorized_keys", Path(f"{key}.pub").read_text())


@pytest.mark.parametrize("kind", ["ed25519-sk", "ecdsa-sk"])
def test_a_security_key_logs_in_and_the_request_to_touch_it_is_shown(
    client: Client, main: Machine, security_key: SecurityKey, kind: str
) -> None:
    key = make_key(client, security_key, "-t", kind)
    let_in(main, key)
    client.configure(f"SecurityKeyProvider {security_key.provider}", identity=key)
    person = Toucher(security_key)

    assert client.greet("main", person) == "machine-main"
    assert f"ssh2: {kind.upper()} SHA256:" in main.log.read_text().rpartition("Accepted publickey")[2]
    assert [f"Confirm user presence for key {kind.upper()}" in shown for shown in person.notices] == [True]
    assert not person.asked


def test_a_security_key_that_needs_no_touch_logs_in_without_a_request(
    client: Client, main: Machine, security_key: SecurityKey, monkeypatch: pytest.MonkeyPatch
) -> None:
    key = make_key(client, security_key, "-t", "ed25519-sk", "-O", "no-touch-required")
    main.write(".ssh/authorized_keys", "no-touch-required " + Path(f"{key}.pub").read_text())
    monkeypatch.setenv("SSH_SK_PROVIDER", str(security_key.provider))
    client.configure("SecurityKeyProvider $SSH_SK_PROVIDER", identity=key)
    security_key.touch()

    person = Person()
    assert client.greet("main", person) == "machine-main"
    assert not person.notices


def test_a_security_key_whose_file_has_a_passphrase_is_opened_and_touched(
    client: Client, main: Machine, security_key: SecurityKey
) -> None:
    key = make_key(client, security_key, "-t", "ed25519-sk", passphrase=PASSPHRASE)
    let_in(main, key)
    client.configure(f"SecurityKeyProvider {security_key.provider}", identity=key)
    person = Toucher(security_key, passphrase=PASSPHRASE)

    assert client.greet("main", person) == "machine-main"
    assert [(str(key) in asked.text, asked.secret) for asked in person.asked] == [(True, True)]
    assert ["Confirm user presence" in shown for shown in person.notices] == [True]


def test_a_security_key_may_be_touched_later_than_the_connection_may_take(
    client: Client, main: Machine, security_key: SecurityKey
) -> None:
    key = make_key(client, security_key, "-t", "ed25519-sk")
    let_in(main, key)
    client.configure(f"SecurityKeyProvider {security_key.provider}", identity=key)
    with later(3, security_key.touch), client.handler("main") as handler:
        handler.timeout = 2
        handler.check_available()


def test_a_smart_card_logs_in_with_its_pin(client: Client, main: Machine, card: SmartCard) -> None:
    client.configure(f"PKCS11Provider {card.module}\nIdentitiesOnly no", identity=client.folder / "none")
    log_ins = main.log_ins
    person = Person(PIN=PIN)

    assert client.greet("main", person) == "machine-main"
    assert main.log_ins == log_ins + 1
    assert [("card of tests" in asked.text, asked.secret) for asked in person.asked] == [(True, True)]


def test_a_wrong_pin_of_a_smart_card_is_refused_and_not_shown(client: Client, card: SmartCard) -> None:
    client.configure(f"PKCS11Provider {card.module}\nIdentitiesOnly no", identity=client.folder / "none")

    with pytest.raises(AuthenticationError) as raised:
        client.greet("main", Person(PIN="wrong-one"))
    assert "wrong-one" not in f"{raised.value} {raised.value.hint}"
