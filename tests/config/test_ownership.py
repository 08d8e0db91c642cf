"""Who could have written a project's file: files of real accounts, and git's own word on directories."""

import os
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from ocattach.config.files.safe import Problem
from ocattach.config.project import find_in_project, project_definitions
from ocattach.config.settings import load_settings
from ocattach.errors import ConfigurationError, ConnectionNotFoundError
from ocattach.sessions.index.file import IndexUnusableError
from ocattach.sessions.index.store import Index
from tests.config.conftest import Desk

WEB = {"transport": "docker", "container": "www"}
FILES = ["opencode.json", ".opencode/ocattach.json"]
SOMEBODY, SOMEBODY_ELSE = 3000, 65534

as_root = pytest.mark.skipif(os.geteuid() != 0, reason="only root can give files to other accounts")
each_file = pytest.mark.parametrize("file", FILES)


@contextmanager
def account(uid: int) -> Iterator[None]:
    """Be another account meanwhile."""
    os.seteuid(uid)
    try:
        yield
    finally:
        os.seteuid(0)


@pytest.fixture
def git(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A home for git, without the configuration of who runs the tests; SUDO_UID is none of its business either."""
    monkeypatch.setenv("HOME", str(desk.home))
    monkeypatch.setenv("GIT_CONFIG_SYSTEM", os.devnull)
    for name in ("SUDO_UID", "XDG_CONFIG_HOME", "GIT_CONFIG_GLOBAL"):
        monkeypatch.delenv(name, raising=False)
    return desk.home


pytestmark = pytest.mark.usefixtures("git")


def refusal(desk: Desk) -> ConfigurationError:
    """Why the project's definition cannot be used; a saved one of another name still can."""
    desk.save("mine", "docker://mine")
    assert desk.resolve("mine").display() == "docker://mine"
    with pytest.raises(ConfigurationError) as raised:
        desk.resolve("www")
    return raised.value


@each_file
def test_a_linked_file_is_refused_with_what_to_do(desk: Desk, tmp_path: Path, file: str) -> None:
    path = desk.define({"www": WEB}, file)
    real = path.rename(tmp_path / "elsewhere.json")
    path.symlink_to(real)

    error = refusal(desk)

    assert "symbolic link" in error.message
    subprocess.run(["sh", "-c", error.hint.partition(": ")[2]], check=True)
    assert desk.resolve("www").display() == "docker://www"


def test_a_linked_directory_is_refused(desk: Desk, tmp_path: Path) -> None:
    path = desk.define({"www": WEB}, ".opencode/ocattach.json")
    path.parent.rename(tmp_path / "elsewhere")
    path.parent.symlink_to(tmp_path / "elsewhere")

    assert f"{path.parent} is a symbolic link" in refusal(desk).message


def test_a_linked_file_without_environments_disturbs_nobody(desk: Desk, tmp_path: Path) -> None:
    desk.define({"www": WEB}, ".opencode/ocattach.json")
    (tmp_path / "dotfiles.json").write_text('{"model": "x/y"}')
    (desk.project / "opencode.json").symlink_to(tmp_path / "dotfiles.json")

    assert [item for item in project_definitions(desk.project) if isinstance(item, Problem)] == []


@as_root
@each_file
def test_a_file_of_another_account_is_refused_with_the_command_that_mends_it(desk: Desk, file: str) -> None:
    path = desk.define({"www": WEB}, file)
    os.chown(path, SOMEBODY_ELSE, SOMEBODY_ELSE)

    error = refusal(desk)

    assert f"{path} belongs to nobody (uid {SOMEBODY_ELSE})" in error.message
    command = error.hint.partition(": ")[2].partition(", or")[0]
    subprocess.run(["sh", "-c", command], check=True)
    assert desk.resolve("www").display() == "docker://www"


@as_root
@each_file
@pytest.mark.parametrize("folder", [".", ".opencode"])
def test_so_is_one_in_a_directory_of_another_account(desk: Desk, file: str, folder: str) -> None:
    desk.define({"www": WEB}, file)
    (desk.project / ".opencode").mkdir(exist_ok=True)
    os.chown(desk.project / folder, SOMEBODY_ELSE, SOMEBODY_ELSE)

    if (file, folder) == (FILES[0], ".opencode"):
        assert desk.resolve("www").display() == "docker://www", "it is not in there"
    else:
        assert f"{(desk.project / folder)} belongs to" in refusal(desk).message


@each_file
@pytest.mark.parametrize("kind", ["file", "directory"])
def test_what_everybody_may_write_is_refused_with_the_command_that_mends_it(
    desk: Desk, file: str, kind: str
) -> None:
    path = desk.define({"www": WEB}, file)
    place = path if kind == "file" else path.parent
    place.chmod(0o777)

    error = refusal(desk)

    assert f"{place} is world-writable" in error.message
    subprocess.run(["sh", "-c", error.hint.partition(": ")[2].partition(", or")[0]], check=True)
    assert desk.resolve("www").display() == "docker://www"


def test_a_directory_in_which_each_has_files_of_their_own_is_none_that_everybody_may_write(
    desk: Desk,
) -> None:
    desk.define({"www": WEB})
    desk.project.chmod(0o1777)

    assert desk.resolve("www").display() == "docker://www"


def test_a_group_may_write(desk: Desk) -> None:
    desk.define({"www": WEB}).chmod(0o664)
    desk.project.chmod(0o775)

    assert desk.resolve("www").display() == "docker://www"


@as_root
def test_an_ordinary_user_may_use_their_own_and_roots_and_nobody_elses(
    desk: Desk, workdir: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SUDO_UID", str(SOMEBODY_ELSE))  # only root gets it from sudo
    workdir.chmod(0o755)
    path = workdir / "opencode.json"
    path.write_text(desk.define({"www": WEB}).read_text())
    for owner, allowed in ((SOMEBODY, True), (0, True), (SOMEBODY_ELSE, False)):
        os.chown(path, owner, owner)
        with account(SOMEBODY):
            if allowed:
                assert find_in_project("www", workdir)
            else:
                with pytest.raises(ConfigurationError, match="belongs to nobody"):
                    find_in_project("www", workdir)


@as_root
def test_with_sudo_the_files_of_who_called_it_count_as_for_git(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    os.chown(desk.define({"www": WEB}), SOMEBODY, SOMEBODY)
    monkeypatch.setenv("SUDO_UID", str(SOMEBODY_ELSE))
    refusal(desk)

    monkeypatch.setenv("SUDO_UID", str(SOMEBODY))

    assert desk.resolve("www").display() == "docker://www"


@as_root
@pytest.mark.parametrize("value", ["{project}", "{project}/", "*", "{above}/*"])
def test_what_the_user_has_told_git_is_safe_is_safe(desk: Desk, value: str) -> None:
    os.chown(desk.define({"www": WEB}, "packages/shop/opencode.json"), SOMEBODY, SOMEBODY)
    inner = desk.project / "packages/shop"
    with pytest.raises(ConfigurationError, match="belongs to") as raised:
        desk.resolve("www", cwd=inner)
    assert f"git config --global --add safe.directory {desk.project}" in raised.value.hint

    tell_git(value.format(project=desk.project, above=desk.project.parent))

    assert desk.resolve("www", cwd=inner).display() == "docker://www"


@as_root
@pytest.mark.parametrize("values", [["/elsewhere"], ["{project}", ""], ["{project}/packages"]])
def test_what_git_would_not_count_does_not_count(desk: Desk, values: list[str]) -> None:
    os.chown(desk.define({"www": WEB}), SOMEBODY, SOMEBODY)
    for value in values:
        tell_git(value.format(project=desk.project))

    refusal(desk)


@as_root
def test_a_project_cannot_vouch_for_itself(desk: Desk) -> None:
    os.chown(desk.define({"www": WEB}), SOMEBODY, SOMEBODY)
    (desk.project / ".git").rmdir()
    subprocess.run(["git", "init", "--quiet", desk.project], check=True)
    subprocess.run(["git", "-C", desk.project, "config", "safe.directory", str(desk.project)], check=True)

    refusal(desk)


@as_root
def test_without_git_nobody_vouches(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    os.chown(desk.define({"www": WEB}), SOMEBODY, SOMEBODY)
    tell_git("*")
    monkeypatch.setenv("PATH", str(desk.home))

    refusal(desk)


def put(desk: Desk, path: str, content: str) -> Path:
    """A file in the user's configuration directory."""
    file = desk.home / "config" / path
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(content)
    return file


COMMAND = (
    """{"transport": "http", "url": "https://daemon.example", "password_command": ["touch", "/it/ran"]}"""
)
CONFIGURATION = pytest.mark.parametrize(
    ("path", "content"), [("connections/www.yaml", COMMAND), ("config.yaml", "hold_seconds: 1")]
)


def configured(desk: Desk, path: str) -> object:
    """Use the file."""
    return load_settings(desk.home / "config") if path == "config.yaml" else desk.resolve("www")


@as_root
@CONFIGURATION
@pytest.mark.parametrize("place", ["file", "directory", "above", "target", "directory of the target"])
def test_configuration_that_another_account_could_have_written_is_refused(
    desk: Desk, tmp_path: Path, path: str, content: str, place: str
) -> None:
    file = put(desk, path, content)
    foreign = {"file": file, "directory": file.parent, "above": desk.home / "config"}.get(place)
    if foreign is None:
        (tmp_path / "elsewhere").mkdir()
        target = file.rename(tmp_path / "elsewhere" / file.name)
        file.symlink_to(target)
        configured(desk, path)
        foreign = target if place == "target" else target.parent
    else:
        configured(desk, path)

    os.chown(foreign, SOMEBODY_ELSE, SOMEBODY_ELSE)
    with pytest.raises(ConfigurationError, match="belongs to nobody") as raised:
        configured(desk, path)
    assert str(file) in raised.value.message
    subprocess.run(["sh", "-c", raised.value.hint.partition(": ")[2]], check=True)
    configured(desk, path)

    foreign.chmod(0o777)
    with pytest.raises(ConfigurationError, match="is world-writable"):
        configured(desk, path)


@as_root
def test_an_index_that_another_account_could_have_written_routes_nothing(desk: Desk) -> None:
    file = desk.home / "state/sessions.db"
    Index(file).close()
    os.chown(file, SOMEBODY_ELSE, SOMEBODY_ELSE)

    with pytest.raises(IndexUnusableError, match="belongs to nobody"):
        Index(file)


@as_root
def test_a_git_tree_that_another_account_has_planted_above_is_ignored_with_a_note(
    desk: Desk, tmp_path: Path
) -> None:
    above = tmp_path / "src"
    os.chown(above, 0, 0)
    above.chmod(0o1777)
    (above / ".git").mkdir()
    os.chown(above / ".git", SOMEBODY_ELSE, SOMEBODY_ELSE)
    trap = above / "opencode.json"
    trap.write_text("{")
    os.chown(trap, SOMEBODY_ELSE, SOMEBODY_ELSE)
    work = above / "work"
    work.mkdir()
    (work / "opencode.json").write_text(
        '{"environments": {"mine": {"transport": "docker", "container": "mine"}}}'
    )

    assert desk.resolve("mine", cwd=work).display() == "docker://mine"
    assert desk.resolve("local", cwd=work).name == "local"
    with pytest.raises(ConnectionNotFoundError, match="belongs to another user") as raised:
        desk.resolve("www", cwd=work)
    assert str(above / ".git") in raised.value.message

    tell_git(str(above))
    with pytest.raises(ConfigurationError, match="invalid JSON"):
        desk.resolve("www", cwd=work)


def tell_git(value: str) -> None:
    """Call a directory safe, as git's own message says."""
    subprocess.run(["git", "config", "--global", "--add", "safe.directory", value], check=True)


RECORDED = "71 60 0:49 / {} rw,noatime - {} rw\n"
WSL = "9p C:\\134 rw,dirsync,aname=drvfs;path=C:\\;uid=1000;gid=1000{};symlinkroot=/mnt/,access=client,trans=fd,rfd=8"
"""The end of the line of a Windows drive, as recorded in WSL 2; there is none here."""


@pytest.mark.parametrize(
    ("mounted", "hint"),
    [
        (WSL.format(""), "metadata,umask=022"),
        ("drvfs C: rw,noatime,uid=1000,gid=1000,case=off", "metadata,umask=022"),
        ("vfat /dev/sda1 rw,umask=000", "mount -o remount,umask=022"),
        (WSL.format(";metadata"), "chmod o-w"),
        ("ext4 /dev/sda1 rw", "chmod o-w"),
        ("9p source rw,trans=virtio", "chmod o-w"),
    ],
)
def test_where_chmod_cannot_help_the_hint_is_another(
    desk: Desk, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, mounted: str, hint: str
) -> None:
    recorded = tmp_path / "mountinfo"
    recorded.write_text(
        RECORDED.format("/", "ext4 /dev/sda")
        + RECORDED.format(str(desk.project.parent).replace("s", "\\163"), mounted)
    )
    monkeypatch.setattr("ocattach.config.files.owner.MOUNTS", recorded)
    desk.define({"www": WEB}).chmod(0o666)

    error = refusal(desk)
    assert "world-writable" in error.message
    assert hint in error.hint
    assert "safe.directory" in error.hint
    subprocess.run(["git", "config", "--global", "--add", "safe.directory", desk.project], check=True)
    assert desk.resolve("www").display() == "docker://www"
