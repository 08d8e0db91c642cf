import fcntl
import os
import resource
import signal
import stat
import subprocess
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path

import pytest

from ocattach.config.files.safe import LARGEST, Problem
from ocattach.config.names import RESERVED
from ocattach.config.saved import SavedConnections
from ocattach.config.spec import ConnectionSpec
from ocattach.errors import (
    ConfigurationError,
    ConnectionNotFoundError,
    OcattachError,
    TimedOutError,
    UsageError,
)
from tests.config.conftest import Desk, spec_of


def mode(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


@contextmanager
def full_disk() -> Iterator[None]:
    """No file can grow beyond 5 bytes, as on a disk that has just filled up."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    handler = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (5, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
        signal.signal(signal.SIGXFSZ, handler)


def test_what_is_saved_is_found(desk: Desk) -> None:
    desk.save("frontend", "docker://frontend-app:/app")

    found = desk.saved.find("frontend")

    assert found is not None
    assert found.display() == "docker://frontend-app:/app"
    assert found.name == "frontend"
    assert found.source.kind == "user"
    assert found.source.path == desk.home / "config/connections/frontend.yaml"


def test_saving_returns_what_will_be_found(desk: Desk) -> None:
    assert desk.save("staging", "ssh://deploy@staging:2222/app") == desk.load("staging")


def test_a_saved_file_is_yaml_that_people_can_edit(desk: Desk) -> None:
    desk.save("frontend", "docker://frontend-app:/app")

    assert (
        desk.saved.path("frontend").read_text()
        == "transport: docker\ncontainer: frontend-app\nworkdir: /app\n"
    )


def test_only_the_user_can_read_what_is_saved(desk: Desk) -> None:
    before = os.umask(0)
    try:
        desk.save("frontend", "docker://c")
    finally:
        os.umask(before)

    assert mode(desk.saved.path("frontend")) == 0o600
    assert mode(desk.saved.directory) == 0o700
    assert mode(desk.saved.directory.parent) == 0o700


def test_a_directory_that_is_there_keeps_its_mode(desk: Desk) -> None:
    config = desk.home / ".config"
    config.mkdir(mode=0o755)
    config.chmod(0o755)

    desk.save("frontend", "docker://c")

    assert mode(config) == 0o755


def test_a_taken_name_is_refused_and_the_old_connection_stays(desk: Desk) -> None:
    desk.save("frontend", "docker://old")

    with pytest.raises(UsageError, match="frontend already exists") as raised:
        desk.save("frontend", "docker://new")

    assert "--force" in raised.value.hint
    assert desk.load("frontend").display() == "docker://old"


def test_a_taken_name_can_be_forced(desk: Desk) -> None:
    desk.save("frontend", "docker://old")

    desk.save("frontend", "docker://new", force=True)

    assert desk.load("frontend").display() == "docker://new"


def test_of_many_who_save_one_name_at_once_one_wins(desk: Desk) -> None:
    def attempt(number: int) -> bool:
        try:
            desk.save("frontend", f"docker://c{number}")
        except UsageError:
            return False
        return True

    with ThreadPoolExecutor(8) as pool:
        outcomes = list(pool.map(attempt, range(8)))

    assert outcomes.count(True) == 1
    assert desk.load("frontend").display() == f"docker://c{outcomes.index(True)}"


def test_a_full_disk_leaves_the_old_connection_and_no_rubbish(desk: Desk) -> None:
    desk.save("frontend", "docker://old")
    before = sorted(desk.saved.directory.iterdir())

    with (
        full_disk(),
        pytest.raises(OcattachError, match=r"frontend\.yaml could not be written: File too large"),
    ):
        desk.save("frontend", "docker://new", force=True)

    assert desk.load("frontend").display() == "docker://old"
    assert sorted(desk.saved.directory.iterdir()) == before


def test_a_place_that_cannot_be_written_is_named(desk: Desk) -> None:
    desk.saved.directory.parent.mkdir(parents=True)
    desk.saved.directory.write_text("a file where a directory should be")

    with pytest.raises(OcattachError, match="connections"):
        desk.save("frontend", "docker://c")


WRITER = """
import sys
from pathlib import Path
from ocattach.config.saved import SavedConnections
from ocattach.config.spec import ConnectionSpec
saved = SavedConnections(Path(sys.argv[1]))
print("ready", flush=True)
while True:
    for length in (1, 200_000):
        entry = {"transport": "docker", "container": "c", "description": "x" * length}
        saved.save("frontend", ConnectionSpec.from_entry(entry), force=True)
"""


def test_who_is_killed_while_saving_leaves_a_whole_file(desk: Desk) -> None:
    config = desk.saved.directory.parent
    desk.save("frontend", "docker://c")
    for delay in (0.0, 0.003, 0.01, 0.03):
        with subprocess.Popen([sys.executable, "-c", WRITER, str(config)], stdout=subprocess.PIPE) as writer:
            assert writer.stdout is not None
            writer.stdout.readline()
            for _ in range(20):
                assert len(desk.load("frontend").description) in {0, 1, 200_000}
            try:
                writer.wait(delay)
            except subprocess.TimeoutExpired:
                writer.kill()
        assert len(desk.load("frontend").description) in {0, 1, 200_000}
    assert desk.saved.names() == ["frontend"]


def test_a_comment_in_another_file_is_not_lost(desk: Desk) -> None:
    desk.save("api", "docker://api")
    file = desk.saved.path("api")
    file.write_text("# ask Kim before use\n" + file.read_text())

    desk.save("frontend", "docker://c")
    desk.saved.remove("frontend")

    assert file.read_text().startswith("# ask Kim before use\n")
    assert desk.load("api").display() == "docker://api"


def test_a_connection_that_is_saved_anew_keeps_its_comments(desk: Desk) -> None:
    desk.save("api", "docker://api:/app")
    file = desk.saved.path("api")
    file.write_text("# ask Kim before use\n" + file.read_text() + "# the end\n")

    desk.save("api", "docker://me@new:/app", force=True)

    assert file.read_text() == (
        "# ask Kim before use\ntransport: docker\ncontainer: new\nworkdir: /app\n# the end\nuser: me\n"
    )
    assert desk.load("api").display() == "docker://me@new:/app"


def test_what_a_killed_save_left_goes_with_the_next(desk: Desk) -> None:
    desk.save("api", "docker://api")
    leftover = desk.saved.directory / ".api.yaml.0123456789ab.tmp"
    leftover.write_text("transport: dock")
    other = desk.saved.directory / ".www.yaml.0123456789ab.tmp"
    other.write_text("transport: dock")

    assert desk.saved.names() == ["api"]
    desk.save("api", "docker://new", force=True)

    assert not leftover.exists()
    assert other.exists()


def test_while_somebody_else_saves_one_waits_and_then_says_so(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("ocattach.config.files.safe.LOCK_SECONDS", 0.1)
    desk.save("api", "docker://api")

    with (desk.saved.directory / ".lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        with pytest.raises(TimedOutError, match=r"connections has been locked"):
            desk.save("api", "docker://new", force=True)

    assert desk.load("api").display() == "docker://api"
    desk.save("api", "docker://new", force=True)


def test_names_are_exact_in_their_case_also_on_a_disk_that_minds_none(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    desk.save("Www", "docker://www")
    before = desk.saved.path("Www").read_text()
    monkeypatch.setattr(os, "listdir", lambda _: ["www.yaml"])  # and "Www.yaml" can be opened, as on macOS

    assert desk.saved.find("Www") is None
    with pytest.raises(UsageError, match="differs only in case"):
        desk.save("Www", "docker://new", force=True)
    monkeypatch.undo()
    assert desk.saved.path("Www").read_text() == before


def test_names_that_differ_by_case_are_two_connections(desk: Desk) -> None:
    desk.save("www", "docker://lower")
    try:
        desk.save("Www", "docker://upper")
    except UsageError:
        pytest.skip("this disk minds no case")

    assert desk.saved.names() == ["Www", "www"]
    assert desk.load("www").display() == "docker://lower"


def test_finding_a_name_reads_no_other_file(desk: Desk) -> None:
    desk.save("frontend", "docker://c")
    os.mkfifo(desk.saved.directory / "other.yaml")

    assert desk.load("frontend").name == "frontend"


def test_a_damaged_file_is_reported_by_name_and_the_rest_works(desk: Desk) -> None:
    desk.save("api", "docker://api")
    desk.save("www", "docker://www")
    desk.saved.path("broken").write_text("transport: [docker\n")
    desk.saved.path("misspelt").write_text("transport: docker\ncontianer: c\n")
    desk.saved.path("huge").write_text("#" * (LARGEST + 1))
    desk.saved.path("binary").write_bytes(b"\xff\xfe")
    os.mkfifo(desk.saved.path("pipe"))
    desk.saved.path("folder").mkdir()
    desk.saved.path("-bad name").write_text("transport: local\n")

    found = list(desk.saved.all())

    assert [item.name for item in found if isinstance(item, ConnectionSpec)] == ["api", "www"]
    problems = {item.name: item.error.message for item in found if isinstance(item, Problem)}
    assert set(problems) == {"broken", "misspelt", "huge", "binary", "pipe", "folder", "-bad name"}
    for name, message in problems.items():
        assert str(desk.saved.path(name or "")) in message


def test_a_wrong_key_is_named_with_its_file_and_the_closest(desk: Desk) -> None:
    desk.save("api", "docker://api")
    desk.saved.path("api").write_text("transport: docker\ncontianer: c\n")

    with pytest.raises(ConfigurationError) as raised:
        desk.load("api")

    assert raised.value.message == f"{desk.saved.path('api')}: docker has no key 'contianer'"
    assert raised.value.hint.startswith("Did you mean container")


def test_a_removed_connection_is_gone(desk: Desk) -> None:
    desk.save("frontend", "docker://c")

    desk.saved.remove("frontend")

    assert desk.saved.find("frontend") is None
    assert desk.saved.names() == []


def test_a_damaged_connection_can_be_removed(desk: Desk) -> None:
    desk.save("frontend", "docker://c")
    desk.saved.path("frontend").write_text("[")

    desk.saved.remove("frontend")

    assert desk.saved.names() == []


def test_what_is_not_saved_cannot_be_removed_and_near_names_are_told(desk: Desk) -> None:
    desk.save("frontend", "docker://c")

    with pytest.raises(ConnectionNotFoundError, match="fronted") as raised:
        desk.saved.remove("fronted")

    assert "frontend" in raised.value.hint
    assert "ocattach --list" in raised.value.hint


def test_nothing_saved_is_no_error(tmp_path: Path) -> None:
    assert list(SavedConnections(tmp_path / "nowhere").all()) == []


@pytest.mark.parametrize("name", ["a", "A-1", "www.prod", "_x", "0", "a" * 100])
def test_these_are_names(desk: Desk, name: str) -> None:
    assert desk.saved.save(name, spec_of("local://")).name == name


@pytest.mark.parametrize(
    "name",
    ["", ".", "..", ".hidden", "-v", "a/b", "../a", "a b", "a\n", "a\0", "é", "a" * 101, *sorted(RESERVED)],
)
def test_these_are_none(desk: Desk, name: str) -> None:
    with pytest.raises(UsageError):
        desk.saved.save(name, spec_of("local://"))
    with pytest.raises(UsageError):
        desk.saved.find(name)
    assert not desk.saved.directory.exists()
