import shutil
from pathlib import Path

import pytest

from ocattach.programs import which


@pytest.fixture
def folders(tmp_path: Path) -> list[str]:
    """Folders whose `tool` is a directory, no program, a broken link, the program, and another one."""
    paths = [tmp_path / name for name in ("directory", "plain", "broken", "first", "second")]
    for path in paths:
        path.mkdir()
    directory, plain, broken, first, second = (path / "tool" for path in paths)
    directory.mkdir()
    plain.touch(0o644)
    broken.symlink_to("nowhere")
    second.touch(0o755)
    first.symlink_to(second)
    return [str(path) for path in paths]


def test_the_first_program_of_a_name_on_the_path_is_found(folders: list[str]) -> None:
    path = ":".join(folders)

    assert which("tool", path) == f"{folders[3]}/tool" == shutil.which("tool", path=path)


def test_a_name_without_a_program_is_not_found(folders: list[str]) -> None:
    assert which("tool", ":".join(folders[:3])) is None
    assert which("other", ":".join(folders)) is None
    assert which("tool", "") is None


def test_without_a_path_that_of_this_process_is_searched(
    folders: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", folders[4])

    assert which("tool") == f"{folders[4]}/tool"


def test_an_empty_entry_of_the_path_is_not_the_working_directory(
    folders: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(folders[4])

    assert which("tool", f":{folders[0]}:") is None
