"""Which daemons are this account's in this environment: recorded and found ones by the same rule."""

import os
import shutil
import subprocess
import time
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from pathlib import Path

import pytest

from ocattach.daemon import DaemonSettings
from ocattach.errors import OcattachError
from ocattach.opencode.runtime import javascript_argv
from ocattach.transports.process import ProcessStream
from ocattach.tunnel.relay import relay_source
from ocattach.tunnel.route import RelayRoute
from ocattach.tunnel.tunnel import Tunnel
from tests.daemon.account import Account, machine
from tests.rigs.daemons import entering
from tests.rigs.namespaces import Confined
from tests.rigs.opencode import ENVIRONMENT
from tests.rigs.waiting import wait_until

ANY = "0.0.0.0"  # noqa: S104 - in a namespace


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Confined]:
    setup = "ip addr add 10.77.0.1/32 dev lo"
    with machine(tmp_path_factory.mktemp("machine"), setup) as made:
        yield made


@pytest.fixture
def account(place: Confined, tmp_path: Path) -> Iterator[Account]:
    account = Account(place, tmp_path)
    yield account
    account.end_all(str(tmp_path))


@pytest.mark.parametrize("name", ["opencode", "opencode-1.18.33", ".opencode"])
@pytest.mark.parametrize(
    "words",
    [["serve", "--port", "PORT"], ["web", "--port", "PORT"], ["--port", "PORT"], ["--port=PORT"]],
    ids=" ".join,
)
def test_one_that_was_started_by_hand_is_found(account: Account, name: str, words: list[str]) -> None:
    with account.by_hand(account.program(name), *words) as port:
        found = account.daemon()

        assert found
        assert (found.port, found.recorded) == (port, False)
        assert account.stop(found.pid) == found.pid
        assert account.servers() == []


@pytest.mark.parametrize("words", [["web", "--port", "5001"], ["--port", "5001"]], ids=" ".join)
def test_the_real_one_is_found_by_any_name(account: Account, opencode_bin: str, words: list[str]) -> None:
    program = shutil.copy(opencode_bin, account.home / "oc")
    terminal, theirs = os.openpty()
    real = account.but(variables={**ENVIRONMENT, "TERM": "xterm", "OPENCODE_SERVER_PASSWORD": "by-hand"})
    with subprocess.Popen(
        real.command([str(program), *words]), stdin=theirs, stdout=theirs, stderr=theirs
    ) as process:
        try:
            found = wait_until(account.daemon, "the daemon to be found", interval=0.3)
            assert (found.port, found.password) == (5001, "by-hand")
            assert account.stop(found.pid) == found.pid
        finally:
            account.end_all("5001")
            process.wait()
            os.close(terminal)
            os.close(theirs)


@pytest.mark.parametrize(
    "words",
    [
        ["vite", "--port", "PORT"],
        ["run", "opencode", "--port", "PORT"],
        ["vite", "dev", "opencode", "--port", "PORT"],
    ],
    ids=" ".join,
)
def test_other_programs_are_not_taken_for_one(account: Account, words: list[str]) -> None:
    with account.by_hand(account.program(words[0]), *words[1:]):
        assert account.daemon() is None


@pytest.mark.parametrize("name", ["oc", "opencode-1.18.33"])
@pytest.mark.parametrize("wrapped", ["", "exec", "child"])
def test_our_own_is_known_whatever_its_program_is_called(account: Account, name: str, wrapped: str) -> None:
    program = account.program(name)
    if wrapped:
        wrapper = Path(f"{program}-wrapper")
        wrapper.write_text(f'#!/bin/sh\n{"exec " if wrapped == "exec" else ""}"{program}" "$@"\n')
        wrapper.chmod(0o755)
        program = str(wrapper)
    started = account.start(program).daemon
    assert started
    assert account.daemon() == started
    assert not account.start(program).started
    assert account.stop(started.pid) == started.pid
    assert account.servers() == []


SAME = {
    "default": ("XDG_DATA_HOME", "{home}/.local/share"),
    "empty": ("XDG_DATA_HOME", ""),
    "path": ("XDG_DATA_HOME", "{home}/.local/../.local/share/"),
    "database": ("OPENCODE_DB", "opencode.db"),
    "link": ("HOME", "{home}/link"),
}


@pytest.mark.parametrize("words", SAME)
@pytest.mark.parametrize("recorded", [True, False])
def test_the_same_data_in_other_words_is_the_same(account: Account, words: str, *, recorded: bool) -> None:
    (account.home / ".local/share/opencode").mkdir(parents=True)
    (account.home / "link").symlink_to(account.home)
    name, value = SAME[words]
    other = account.but(variables={name: value.format(home=account.home)})
    if recorded:
        assert other.start().daemon == account.daemon() is not None
        return
    with account.by_hand(account.program(), "serve", "--port", "PORT", variables=other.variables):
        assert account.daemon()
    with account.by_hand(account.program(), "serve", "--port", "PORT"):
        assert other.daemon()


@pytest.mark.parametrize("name", ["a\nb", "a\n", "a b'\"$(false)"])
@pytest.mark.parametrize("variable", ["HOME", "XDG_DATA_HOME"])
def test_a_directory_of_an_odd_name_has_one_daemon(account: Account, name: str, variable: str) -> None:
    (account.home / name).mkdir()
    odd = account.but(variables={variable: str(account.home / name)})
    started = odd.start().daemon

    assert started
    assert odd.start().daemon == started
    assert odd.stop(started.pid) == started.pid
    assert odd.daemon() is None


ODD = {
    "named as in a script": {"name": "mine", "log": "debug", "state": "x", "given": "g", "records": "/r"},
    "of a shell": {"IFS": "0/\n", "UID": "4711", "PWD": "/nowhere", "OPTIND": "7"},
    "as of ours": {"ocattach_mark": "zz", "complete": "no", "later": "exit", "own": "'a b'"},
    "of every kind": {"http_proxy": "http://x:1", "UID": "1", "X": "a\nb", "lower": "it's\ntwo $(lines)"},
}


@pytest.mark.parametrize("variables", ODD.values(), ids=ODD.keys())
@pytest.mark.parametrize("shell", [("dash",), ("bash", "--posix"), ("busybox", "sh")], ids=" ".join)
def test_a_daemon_gets_variables_that_a_script_or_a_shell_has_itself(
    account: Account, variables: dict[str, str], shell: tuple[str, ...]
) -> None:
    started = account.but(shell=shell).start(env=tuple(variables.items())).daemon
    assert started
    (pid,) = account.servers()
    shown = [*entering(account.machine), "cat", f"/proc/{pid}/environ"]
    has = subprocess.run(shown, capture_output=True, text=True, check=True).stdout.split("\0")

    assert {f"{name}={value}" for name, value in variables.items()} <= set(has)
    assert account.stop(started.pid) == started.pid


def test_a_daemon_that_takes_the_place_of_a_dead_one_has_another_password(account: Account) -> None:
    """Whoever took the dead one's port may have been sent its password."""
    first = account.start().daemon
    account.end_all("serve")
    wait_until(lambda: account.daemon() is None, "the daemon to end")
    second = account.start(password="another").daemon

    assert first
    assert second
    assert (first.password, second.password) == ("secret", "another")


@pytest.mark.parametrize("name", ["daemon", "daemon.log"])
@pytest.mark.parametrize("make", [os.mkfifo, os.mkdir, lambda path: path.symlink_to("/elsewhere")])
def test_what_is_no_file_in_the_place_of_the_record_is_no_wait(
    account: Account, name: str, make: Callable[[Path], None]
) -> None:
    started = account.start().daemon
    assert started
    assert account.stop(started.pid) == started.pid
    (state,) = (account.home / ".local/state/ocattach").glob("*/")
    (state / name).unlink(missing_ok=True)
    make(state / name)
    began = time.monotonic()
    with pytest.raises(OcattachError, match=f"not a regular file.*{name}$"):
        account.start()

    assert time.monotonic() - began < 20
    assert account.servers() == []


@pytest.mark.parametrize("variable", ["XDG_DATA_HOME", "OPENCODE_DB"])
def test_one_with_other_data_is_another(account: Account, variable: str) -> None:
    other = account.but(variables={variable: str(account.home / "elsewhere.db")})
    first, second = account.start(), other.start()

    assert (first.started, second.started) == (True, True)
    assert (account.daemon(), other.daemon()) == (first.daemon, second.daemon)
    for who, whose in ((account, first), (other, second)):
        assert whose.daemon
        assert who.stop(whose.daemon.pid) == whose.daemon.pid
        assert who.daemon() is None


@contextmanager
def other_view(account: Account, kind: str) -> Iterator[Account]:
    """The account in a toolbox: with the same home, host name and processes, and another system."""
    with subprocess.Popen([*entering(account.machine), "unshare", kind, "sleep", "77777"]) as process:
        try:
            pids = wait_until(lambda: account.pids("^sleep 77777"), "the toolbox")
            yield account.but(within=["nsenter", "-t", str(pids[0]), kind])
        finally:
            account.end_all("sleep 77777")
            process.wait()


@pytest.mark.parametrize("kind", ["--mount", "--net"])
def test_one_in_another_view_is_another_and_neither_is_forgotten(account: Account, kind: str) -> None:
    with other_view(account, kind) as toolbox:
        first = account.start().daemon
        assert toolbox.daemon() is None
        second = toolbox.start().daemon
        assert first
        assert second
        assert (account.daemon(), toolbox.daemon()) == (first, second)
        assert (first.recorded, second.recorded) == (True, True)
        with pytest.raises(OcattachError, match=f"Process {second.pid} was not stopped"):
            account.stop(second.pid)

        assert account.stop(first.pid) == first.pid
        assert (account.daemon(), toolbox.daemon()) == (None, second)
        assert toolbox.stop(second.pid) == second.pid


def test_a_renamed_host_another_time_zone_and_language_keep_it(account: Account) -> None:
    started = account.start().daemon
    account.rename_host("second")
    abroad = account.but(variables={"TZ": "Asia/Tokyo", "LC_ALL": "de_DE.UTF-8", "LANG": "de_DE.UTF-8"})

    assert started
    assert abroad.daemon() == started
    assert not abroad.start().started
    assert abroad.stop(started.pid) == started.pid


def test_what_is_asked_for_is_ended_and_no_other(account: Account) -> None:
    recorded = account.start().daemon
    with account.by_hand(account.program(), "serve", "--port", "PORT") as port:
        found = account.probe(DaemonSettings(opencode=account.program(), port=port)).daemon(port)
        assert recorded
        assert found
        assert account.stop(found.pid) == found.pid
        assert account.daemon() == recorded
        with pytest.raises(OcattachError, match="Process 1 was not stopped"):
            account.stop(1)
        assert account.daemon() == recorded


def test_one_that_does_not_end_is_told_and_kept(account: Account) -> None:
    started = account.start().daemon
    assert started
    stubborn = account.but(before="kill() { :; }\n")
    with pytest.raises(OcattachError, match=f"pid {started.pid}.* did not stop"):
        stubborn.stop(started.pid)

    assert account.daemon() == started


@pytest.mark.parametrize(
    ("address", "dialled"), [(ANY, "127.0.0.1"), ("10.77.0.1", "10.77.0.1"), ("127.0.0.1", "127.0.0.1")]
)
def test_the_address_on_which_it_listens_is_dialled(
    account: Account, opencode_bin: str, address: str, dialled: str
) -> None:
    with account.by_hand(account.program(), "serve", "--hostname", address, "--port", "PORT"):
        found = account.daemon()

        assert found
        assert found.host == dialled
        relay = ProcessStream(account.command(javascript_argv(opencode_bin, relay_source())))
        with (
            closing(Tunnel(RelayRoute(relay), found.port, remote_host=found.host)) as tunnel,
            urllib.request.urlopen(f"http://127.0.0.1:{tunnel.port}/", timeout=60) as answer,
        ):
            assert b"healthy" in answer.read()
