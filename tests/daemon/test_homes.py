"""OpenCode keeps its data below a home directory: what happens where there is none, or none to write to."""

from pathlib import Path

import pytest

from ocattach.errors import DaemonStartError
from ocattach.transports.base import Ask, Question
from tests.daemon.conftest import MakeBox

NOBODY = "12345"
"""A user that no database knows, as pods on OpenShift run."""


PRIVATE = f"/tmp/ocattach-home-{NOBODY}"  # noqa: S108
READ_ONLY = "/tmp/ocattach-home-0"  # noqa: S108
HOME, ELSEWHERE = "/tmp/home", "/tmp/data"  # noqa: S108  they are in a container
FURNITURE = {"/tmp": "", "/root/.config": ""}  # noqa: S108
"""What can be written to in a container that otherwise cannot: the rig puts a configuration there."""


def directories(below: str) -> dict[str, str]:
    """The variables that move OpenCode's directories."""
    return {f"XDG_{name}_HOME": f"{below}/{name.lower()}" for name in ("DATA", "STATE", "CACHE", "CONFIG")}


@pytest.mark.parametrize("settings", [{"unset_env": ["HOME"]}, {"env": {"HOME": ""}}], ids=["unset", "empty"])
def test_without_home_it_is_the_accounts_own(box: MakeBox, settings: dict[str, object]) -> None:
    with box() as app:
        with app.handler(user="user", **settings) as handler:
            assert handler.probe().home == "/home/user"
        app.start(user="user", **settings)

        assert app.container.path("/home/user/.local/share/opencode").is_dir()


def notices(asked: list[str]) -> Ask:
    """Show notices, and answer nothing."""

    def ask(question: Question) -> str:
        assert question.notice
        asked.append(question.text)
        return ""

    return ask


def test_an_account_without_a_home_gets_a_private_directory(box: MakeBox) -> None:
    shown: list[str] = []
    with box() as app, app.handler(user=NOBODY) as handler:
        handler.ask = notices(shown)
        started = handler.start_daemon().daemon
        assert started
        private = app.container.path(PRIVATE)
        assert private.stat().st_mode & 0o777 == 0o700
        assert (private / "DATA/opencode/opencode.db").exists()
        assert [PRIVATE in text for text in shown] == [True]
        assert handler.probe().home == PRIVATE
        assert handler.check_daemon_running().daemon == started
        assert handler.stop_daemon() == started.pid


ATTACKS = {
    "directory": "mkdir -m 777 $0",
    "link": "mkdir -m 700 /tmp/own && chown 12345 /tmp/own && ln -s /tmp/own $0 && chown -h 12345 $0",
    "writable": "mkdir $0 && chown 12345 $0 && chmod 777 $0",
    "file": "touch $0",
    "not sticky": "chmod 777 /tmp",
}


def test_a_private_directory_that_another_account_can_have_made_is_not_used(box: MakeBox) -> None:
    with box() as app:
        for attack in ATTACKS.values():
            app.container.run("sh", "-c", f"rm -rf /tmp/* ; {attack}", PRIVATE)
            with pytest.raises(DaemonStartError) as failure:
                app.start(user=NOBODY)

            assert "/ in container app is not writable" in failure.value.message
            assert '"env": {"HOME": "/DIR"}' in failure.value.hint
            assert "/tmp" not in failure.value.hint  # noqa: S108


@pytest.mark.parametrize("env", [{"HOME": HOME}, directories(ELSEWHERE)], ids=["home", "directories"])
def test_an_account_that_nobody_knows_can_be_given_directories(box: MakeBox, env: dict[str, str]) -> None:
    with box() as app, app.handler(user=NOBODY, env=env) as handler:
        started = handler.start_daemon()
        assert started.daemon
        status = app.container.path(f"/proc/{started.daemon.pid}/status").read_text()

        assert f"Uid:\t{NOBODY}\t" in status
        assert handler.check_daemon_running().daemon == started.daemon
        assert handler.stop_daemon() == started.daemon.pid


def test_a_home_of_root_at_the_top_is_a_home(box: MakeBox) -> None:
    with box() as app:
        app.start(env={"HOME": "/"})

        assert app.container.path("/.local/share/opencode").is_dir()


def test_a_read_only_home_keeps_its_configuration(box: MakeBox) -> None:
    shown: list[str] = []
    with box(read_only=True, tmpfs=FURNITURE) as app, app.handler() as handler:
        handler.ask = notices(shown)
        started = handler.start_daemon().daemon
        assert started
        variables = app.container.path(f"/proc/{started.pid}/environ").read_text().split("\0")
        assert "HOME=/root" in variables
        assert f"XDG_DATA_HOME={READ_ONLY}/DATA" in variables
        assert handler.stop_daemon() == started.pid

    assert [READ_ONLY in text for text in shown] == [True]


def test_a_home_that_the_connection_sets_is_told_to_be_read_only(box: MakeBox) -> None:
    with (
        box(read_only=True, tmpfs=FURNITURE) as app,
        pytest.raises(DaemonStartError, match=r"/root in .* is not writable"),
    ):
        app.start(env={"HOME": "/root"})


def test_a_read_only_home_is_enough_with_directories_elsewhere(box: MakeBox) -> None:
    with box(read_only=True, tmpfs=FURNITURE) as app:
        assert app.start(env=directories(ELSEWHERE)).started


def test_a_directory_that_another_owns_is_replaced_and_named_where_it_is_set(box: MakeBox) -> None:
    shown: list[str] = []
    with box() as app:
        app.container.path("/home/user/.cache").mkdir()
        with pytest.raises(DaemonStartError, match=r"/home/user/\.cache in container app is not"):
            app.start(user="user", env={"HOME": "/home/user"})
        with app.handler(user="user") as handler:
            handler.ask = notices(shown)
            assert handler.start_daemon().started
            handler.stop_daemon()

    assert len(shown) == 1


def test_a_configuration_that_cannot_be_written_is_no_hindrance(box: MakeBox, tmp_path: Path) -> None:
    with box(mount={"/home/user/.config/opencode": str(tmp_path)}) as app:
        assert app.start(user="user").started
