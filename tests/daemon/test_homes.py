"""OpenCode keeps its data below a home directory: what happens where there is none, or none to write to."""

from pathlib import Path

import pytest

from ocattach.errors import DaemonStartError
from tests.daemon.conftest import MakeBox

NOBODY = "12345"
"""A user that no database knows, as pods on OpenShift run."""


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


def test_an_account_that_nobody_knows_is_told_to_have_no_home(box: MakeBox) -> None:
    with box() as app, pytest.raises(DaemonStartError) as failure:
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


def test_a_read_only_home_is_told(box: MakeBox) -> None:
    with (
        box(read_only=True, tmpfs=FURNITURE) as app,
        pytest.raises(DaemonStartError, match=r"/root in .* is not writable"),
    ):
        app.start()


def test_a_read_only_home_is_enough_with_directories_elsewhere(box: MakeBox) -> None:
    with box(read_only=True, tmpfs=FURNITURE) as app:
        assert app.start(env=directories(ELSEWHERE)).started


def test_the_directory_that_another_owns_is_named(box: MakeBox) -> None:
    with box() as app:
        app.container.path("/home/user/.cache").mkdir()
        with pytest.raises(DaemonStartError, match=r"/home/user/\.cache in container app is not"):
            app.start(user="user")


def test_a_configuration_that_cannot_be_written_is_no_hindrance(box: MakeBox, tmp_path: Path) -> None:
    with box(mount={"/home/user/.config/opencode": str(tmp_path)}) as app:
        assert app.start(user="user").started
