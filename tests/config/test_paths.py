import os
import stat
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest
from platformdirs.macos import MacOS
from platformdirs.unix import Unix

from ocattach.config.files.paths import (
    LONGEST_SOCKET_PATH,
    SOCKET_NAME,
    config_directory,
    runtime_directory,
    state_directory,
)
from ocattach.errors import ConfigurationError


@pytest.fixture
def short() -> Iterator[Path]:
    """A directory whose path leaves room for more."""
    with tempfile.TemporaryDirectory(prefix="oc", dir="/tmp") as path:
        yield Path(path)


def mode(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


def test_our_own_variables_come_first(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CONFIG_HOME", "/c")
    monkeypatch.setenv("XDG_STATE_HOME", "/s")

    assert config_directory({"OCATTACH_CONFIG_DIR": "/mine"}) == Path("/mine")
    assert state_directory({"OCATTACH_STATE_DIR": "/mine"}) == Path("/mine")


@pytest.mark.parametrize(("system", "places"), [("linux", Unix), ("darwin", MacOS)])
@pytest.mark.parametrize(
    "homes",
    [
        {},
        {"XDG_CONFIG_HOME": "/c", "XDG_STATE_HOME": "/s"},
        {"XDG_CONFIG_HOME": "", "XDG_STATE_HOME": "s"},
        {"XDG_STATE_HOME": "/s/"},
    ],
)
def test_without_them_it_is_where_platformdirs_has_it(
    system: str, places: type[Unix | MacOS], homes: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys, "platform", system)
    for name in ("XDG_CONFIG_HOME", "XDG_STATE_HOME"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("HOME", "/home/kim")
    for name, value in homes.items():
        monkeypatch.setenv(name, value)
    expected = places("ocattach")

    assert config_directory(os.environ) == expected.user_config_path
    assert state_directory(os.environ) == expected.user_state_path


def test_on_macos_all_is_where_applications_keep_theirs(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "platform", "darwin")
    monkeypatch.setenv("HOME", "/Users/kim")
    place = Path("/Users/kim/Library/Application Support/ocattach")

    assert (config_directory({}), state_directory({})) == (place, place)
    assert runtime_directory({}) == Path(f"/tmp/ocattach-{os.getuid()}")  # noqa: S108 - this is what is tested
    mine = {"OCATTACH_CONFIG_DIR": "/mine"}
    assert config_directory(mine) == Path("/mine")


@pytest.mark.parametrize("variable", ["OCATTACH_CONFIG_DIR", "OCATTACH_STATE_DIR", "OCATTACH_RUNTIME_DIR"])
def test_a_relative_directory_is_refused_by_the_name_of_its_variable(variable: str) -> None:
    lookup = {
        "OCATTACH_CONFIG_DIR": config_directory,
        "OCATTACH_STATE_DIR": state_directory,
        "OCATTACH_RUNTIME_DIR": runtime_directory,
    }[variable]

    with pytest.raises(ConfigurationError, match=f"{variable} must be an absolute path"):
        lookup({variable: "here"})


def test_a_runtime_directory_is_made_for_the_user_alone(short: Path) -> None:
    before = os.umask(0)
    try:
        path = runtime_directory({"OCATTACH_RUNTIME_DIR": str(short / "run/deep")})
    finally:
        os.umask(before)

    assert path == short / "run/deep"
    assert mode(path) == 0o700


def test_the_login_directory_is_used_where_there_is_one(short: Path) -> None:
    assert runtime_directory({"XDG_RUNTIME_DIR": str(short)}) == short / "ocattach"
    assert mode(short / "ocattach") == 0o700


@pytest.mark.parametrize("value", ["", "relative", "/does/not/exist", "/" + "x" * 90])
def test_without_a_usable_login_directory_there_is_a_private_one(value: str) -> None:
    path = runtime_directory({"XDG_RUNTIME_DIR": value})

    assert path == Path(f"/tmp/ocattach-{os.getuid()}")  # noqa: S108 - this is what is tested
    assert mode(path) == 0o700
    assert path.stat().st_uid == os.getuid()


@pytest.mark.skipif(os.getuid() != 0, reason="only root can make directories of other users")
def test_a_login_directory_of_another_user_is_left_alone(short: Path) -> None:
    os.chown(short, 65534, 65534)

    assert short not in runtime_directory({"XDG_RUNTIME_DIR": str(short)}).parents


@pytest.mark.skipif(os.getuid() != 0, reason="only root can make directories of other users")
def test_a_runtime_directory_of_another_user_is_refused(short: Path) -> None:
    os.chown(short, 65534, 65534)
    short.chmod(0o700)

    with pytest.raises(ConfigurationError, match="belongs to another user"):
        runtime_directory({"OCATTACH_RUNTIME_DIR": str(short)})


@pytest.mark.parametrize("open_mode", [0o755, 0o770, 0o701])
def test_a_runtime_directory_that_is_open_to_others_is_refused(short: Path, open_mode: int) -> None:
    short.chmod(open_mode)

    with pytest.raises(ConfigurationError, match="accessible to other users") as raised:
        runtime_directory({"OCATTACH_RUNTIME_DIR": str(short)})

    assert raised.value.hint.endswith(f"chmod 700 {short}")


def test_a_link_in_place_of_the_runtime_directory_is_refused(short: Path) -> None:
    (short / "real").mkdir(mode=0o700)
    (short / "link").symlink_to(short / "real")

    with pytest.raises(ConfigurationError, match="not a directory"):
        runtime_directory({"OCATTACH_RUNTIME_DIR": str(short / "link")})


def test_a_file_in_place_of_the_runtime_directory_is_refused(short: Path) -> None:
    (short / "file").write_text("")

    with pytest.raises(ConfigurationError, match="cannot be created"):
        runtime_directory({"OCATTACH_RUNTIME_DIR": str(short / "file")})


def test_a_runtime_directory_has_room_for_the_name_of_a_socket(short: Path) -> None:
    longest = LONGEST_SOCKET_PATH - SOCKET_NAME - 2
    fitting = str(short / ("x" * (longest - len(str(short)) - 1)))

    assert len(str(runtime_directory({"OCATTACH_RUNTIME_DIR": fitting}))) == longest
    with pytest.raises(ConfigurationError, match="too long"):
        runtime_directory({"OCATTACH_RUNTIME_DIR": f"{fitting}x"})
