"""How a URL gets to the user's browser."""

import stat
from collections.abc import Mapping
from pathlib import Path

import pytest

from ocattach.cli.browser_program import folder, opened, why_none


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A home with a private folder for downloads, and a browser that does nothing."""
    for name, value in {
        "HOME": tmp_path,
        "OCATTACH_STATE_DIR": tmp_path / "state",
        "BROWSER": "true",
    }.items():
        monkeypatch.setenv(name, str(value))
    monkeypatch.setenv("XDG_DOWNLOAD_DIR", str(tmp_path / "Downloads"))
    (tmp_path / "Downloads").mkdir(mode=0o755)
    return tmp_path


@pytest.mark.parametrize(
    ("mode", "platform", "expected"),
    [
        (0o755, "linux", "Downloads"),
        (0o775, "linux", "state"),
        (0o757, "linux", "state"),
        (0o755, "darwin", "state"),
        (None, "linux", "state"),
    ],
)
def test_the_file_is_where_browsers_can_read_it_and_others_cannot_replace_it(
    home: Path, mode: int | None, platform: str, expected: str
) -> None:
    if mode is None:
        (home / "Downloads").rmdir()
    else:
        (home / "Downloads").chmod(mode)
    assert folder({"OCATTACH_STATE_DIR": str(home / "state")}, platform) == home / expected


def test_only_the_account_can_read_the_file_and_it_is_removed(home: Path) -> None:
    url = "http://x.localhost:1/.ocattach/login?0&'\"<"
    with opened(url):
        (file,) = (home / "Downloads").iterdir()
        assert stat.S_IMODE(file.stat().st_mode) == 0o600
        assert "0&amp;&#x27;&quot;&lt;" in file.read_text()
    assert not list((home / "Downloads").iterdir())


@pytest.mark.parametrize(
    ("environ", "platform", "reason"),
    [
        ({}, "linux", "DISPLAY"),
        ({"SSH_CONNECTION": "1"}, "darwin", "ssh session"),
        ({"BROWSER": "true"}, "linux", ""),
        ({"WAYLAND_DISPLAY": "wayland-0", "SSH_CONNECTION": "1"}, "linux", ""),
    ],
)
@pytest.mark.usefixtures("home")
def test_without_a_screen_no_browser_is_tried(environ: Mapping[str, str], platform: str, reason: str) -> None:
    assert reason in why_none(environ, platform)
    assert bool(reason) == bool(why_none(environ, platform))
