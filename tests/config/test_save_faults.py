"""Saving while a system call fails, the process is killed at one, the disk is full, or the power is cut."""

import re
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest

from ocattach.config.spec import ConnectionSpec
from tests.config.conftest import spec_of
from tests.config.disks import EXT4, TMPFS, Saver, after_power_cut, calls, make_disk
from tests.config.saver import ENTRY
from tests.rigs.availability import need, require

OLD, NEW = spec_of("docker://old:/app"), ConnectionSpec.from_entry(ENTRY)
OTHER = "# ask Kim before use\ntransport: docker\ncontainer: api\n"
NEVER_FAIL = {"mmap"}
"""Not for such a reason, that is: it is for memory alone."""


@pytest.fixture
def saver(workdir: Path) -> Iterator[Saver]:
    """A disk with two connections on it, on which nothing is written that nobody waits for."""
    with require("strace"):
        need("strace")
        make_disk(workdir / "disk")
        with Saver(EXT4, workdir / "disk", workdir / "mnt") as saver:
            saver.saved.save("api", spec_of("docker://api"))
            saver.saved.path("api").write_text(OTHER)
            restore(saver)
            yield saver


def restore(saver: Saver) -> None:
    """Have the old connection there, and all of it on the disk."""
    saver.saved.save("frontend", OLD, force=True)
    for path in saver.saved.directory.iterdir():
        sync(path)
    sync(saver.saved.directory)


def sync(path: Path) -> None:
    """Have a file or a directory on the disk."""
    import os  # noqa: PLC0415

    descriptor = os.open(path, os.O_RDONLY)
    os.fsync(descriptor)
    os.close(descriptor)


def places(saver: Saver, workdir: Path) -> list[tuple[str, int]]:
    """Each system call of a save, by its name and how many of that name came before."""
    log = workdir / "strace"
    assert saver.finish(saver.begin(), log=log) == "saved"
    restore(saver)
    counted = Counter[str]()
    found = []
    for name in calls(log):
        counted[name] += 1
        if name not in NEVER_FAIL:
            found.append((name, counted[name]))
    assert counted["fsync"] >= 2, "of the file, and of the directory"
    return found


def what_is_there(saved: object) -> str:
    """Which connection is found, whole."""
    found = saved.find("frontend")  # type: ignore[attr-defined]
    assert found is not None
    target = (found.target, found.workdir, found.description)
    assert target in {(spec.target, spec.workdir, spec.description) for spec in (OLD, NEW)}
    assert saved.path("api").read_text() == OTHER  # type: ignore[attr-defined]
    return "new" if found.target == NEW.target else "old"


@pytest.mark.parametrize("error", ["ENOSPC", "EIO"])
def test_whatever_system_call_fails_the_old_or_the_new_file_is_whole(
    saver: Saver, workdir: Path, error: str
) -> None:
    refused = 0
    for name, number in places(saver, workdir):
        outcome = saver.save("-e", f"inject={name}:error={error}:when={number}")

        word, _, message = outcome.partition(" ")
        assert word in {"saved", "refused"}, (name, number, outcome)
        there = what_is_there(saver.saved)
        if word == "saved":
            assert there == "new", (name, number)
        else:
            refused += 1
            assert str(workdir / "mnt") in message, (name, number)
        restore(saver)
        assert [path.name for path in saver.saved.directory.iterdir() if path.name.endswith(".tmp")] == []
    assert refused > 5


def test_wherever_it_is_killed_or_the_power_is_cut_the_old_or_the_new_file_is_whole(
    saver: Saver, workdir: Path
) -> None:
    seen, killed = set(), 0
    for name, number in places(saver, workdir):
        killed += saver.save("-e", f"inject={name}:signal=KILL:when={number}") == "killed"
        with after_power_cut(workdir / "disk", workdir) as saved:
            seen.add((what_is_there(saver.saved), what_is_there(saved)))
        restore(saver)
    assert killed > 30
    assert seen >= {("old", "old"), ("new", "new")}


def test_what_was_said_to_be_saved_survives_a_power_cut(saver: Saver, workdir: Path) -> None:
    assert saver.save() == "saved"

    with after_power_cut(workdir / "disk", workdir) as saved:
        assert what_is_there(saved) == "new"


def test_what_was_said_to_be_removed_stays_so_after_a_power_cut(saver: Saver, workdir: Path) -> None:
    saver.saved.remove("frontend")

    with after_power_cut(workdir / "disk", workdir) as saved:
        assert saved.names() == ["api"]


def test_a_full_disk_is_told_and_everything_there_is_kept(workdir: Path) -> None:
    with require("strace"), Saver(TMPFS, Path("none"), workdir / "mnt") as saver:
        saver.saved.save("api", spec_of("docker://api"))
        saver.saved.path("api").write_text(OTHER)
        saver.saved.save("frontend", OLD)
        fill(saver.saved.directory.parent / "filler")

        outcome = saver.save()

        assert re.fullmatch(
            r"refused \S+/frontend\.yaml could not be written: No space left on device", outcome
        )
        assert what_is_there(saver.saved) == "old"
        assert saver.saved.names() == ["api", "frontend"]
        saver.saved.remove("api")
        assert saver.saved.names() == ["frontend"]


def fill(path: Path) -> None:
    """Write until there is no room."""
    with path.open("wb", buffering=0) as file:
        while True:
            try:
                file.write(b"x" * 512)
            except OSError:
                return
