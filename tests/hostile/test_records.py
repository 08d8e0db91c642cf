"""A daemon's record that another account has written leads nobody to that account's process."""

import os
import shlex
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from ocattach.config.spec import ConnectionSpec
from ocattach.errors import DaemonStartError
from ocattach.transports import open_handler
from ocattach.transports.command import CommandTransport
from tests.daemon.conftest import MakeBox, box
from tests.environments.environment import ask_nobody
from tests.rigs.directories import short_directory

__all__ = ["box"]

STRANGER = 65534
PORT = 4096
HOME = "/tmp/opencode-home"  # noqa: S108 - in a container
PREPARE = r"""
umask 0
read -r stat </proc/$$/stat
set -- ${stat##*) }
state=$HOME/.local/state/ocattach/$(uname -n)
mkdir -p "$state"
printf 'pid=%s\nstart=%s\nport=4096\npassword=guessed\n' $$ "${20}" >"$state/daemon"
echo ready
"""
"""What the other account does in a directory that everybody can write to: it records its own process."""

ARGV = ["sh", "-c", f"{PREPARE}\nread -r _", "opencode", "serve"]
"""Its command line is that of a daemon."""

needs_root = pytest.mark.skipif(os.geteuid() != 0, reason="only root has a second account")


@pytest.fixture
def home() -> Iterator[Path]:
    """A home that another account has made, with a record of its own process."""
    with short_directory() as directory:
        directory.chmod(0o777)
        made = directory / "home"
        argv = ["setpriv", f"--reuid={STRANGER}", f"--regid={STRANGER}", "--clear-groups", *ARGV]
        environ = {"HOME": str(made), "PATH": os.defpath}
        with subprocess.Popen(
            argv, env=environ, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        ) as process:
            assert process.stdout
            assert process.stdout.readline() == "ready\n"
            yield made
            process.kill()


def local_handler(home: Path) -> CommandTransport:
    handler = open_handler(
        ConnectionSpec.from_entry(
            {"transport": "local", "opencode": "/bin/true", "env": {"HOME": str(home)}}
        ),
        ask=ask_nobody,
        timeout=20,
    )
    assert isinstance(handler, CommandTransport)
    return handler


def state_of(home: Path) -> Path:
    return home / ".local/state/ocattach" / os.uname().nodename


@needs_root
def test_the_record_of_another_account_is_ignored(home: Path) -> None:
    with local_handler(home) as handler:
        assert handler.check_daemon_running().daemon is None


@needs_root
@pytest.mark.parametrize("change", ["file", "directory", "all but the process", "writable", "link"])
def test_so_it_is_if_only_a_part_of_it_is_foreign(home: Path, change: str) -> None:
    """Each is an attack of its own: whatever the account owns, the rest could be another's."""
    state = state_of(home)
    if change in ("file", "all but the process"):
        state.chmod(0o700)
        os.chown(state, 0, 0)
    if change in ("directory", "all but the process", "writable", "link"):
        (state / "daemon").chmod(0o600)
        os.chown(state / "daemon", 0, 0)
    if change == "writable":
        os.chown(state, 0, 0)
        state.chmod(0o777)
    if change == "link":
        state.rename(state.with_name("elsewhere"))
        state.symlink_to("elsewhere")
        os.chown(state, 0, 0)
        os.chown(state.with_name("elsewhere"), 0, 0)
    with local_handler(home) as handler:
        assert handler.check_daemon_running().daemon is None


@needs_root
def test_the_record_of_the_account_itself_counts() -> None:
    with (
        short_directory() as directory,
        subprocess.Popen(
            [
                "sh",
                "-c",
                f"{PREPARE}\nchmod -R go= {shlex.quote(str(directory))}; echo private; read -r _",
                *ARGV[3:],
            ],
            env={"HOME": str(directory), "PATH": os.defpath},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        ) as process,
    ):
        assert process.stdout
        assert [process.stdout.readline() for _ in range(2)] == ["ready\n", "private\n"]
        with local_handler(directory) as handler:
            daemon = handler.check_daemon_running().daemon
        process.kill()

    assert daemon is not None
    assert (daemon.pid, daemon.port, daemon.password) == (process.pid, PORT, "guessed")


@needs_root
def test_no_daemon_is_started_in_the_state_directory_of_another_account(home: Path) -> None:
    (home / "target").touch(mode=0o600)
    (state_of(home) / "daemon.log").symlink_to(home / "target")
    with local_handler(home) as handler, pytest.raises(DaemonStartError, match="belongs to another account"):
        handler.start_daemon()

    assert not (home / "target").read_bytes()


def test_the_record_of_another_account_in_a_container_is_ignored(box: MakeBox) -> None:
    with box() as app:
        app.container.start(
            ["sh", "-c", f"HOME={HOME}; export HOME; {PREPARE}\nsleep 60; :", "opencode", "serve"],
            user=str(STRANGER),
        )
        record = app.container.path(f"{HOME}/.local/state/ocattach")
        for _ in range(200):
            if list(record.glob("*/daemon")):
                break
            subprocess.run(["sleep", "0.05"], check=True)
        (written,) = record.glob("*/daemon")
        assert "password=guessed" in written.read_text()
        for account in ("root", "user"):
            with app.handler(user=account, env={"HOME": HOME}) as handler:
                assert handler.check_daemon_running().daemon is None
                with pytest.raises(DaemonStartError, match="belongs to another account"):
                    handler.start_daemon()


def test_no_hint_recommends_a_path_that_others_can_guess() -> None:
    folder = Path(__file__).parents[2] / "ocattach"
    sources = [*folder.rglob("*.py"), *folder.rglob("*.sh")]
    assert [each for each in sources if "/tmp/" in each.read_text()] == []  # noqa: S108
