"""Link processes that start before it is known whose link they will be."""

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest

from ocattach.cli.verbs import ALIASES, VERBS
from ocattach.link.client.starting import EARLY, LinkProcess, connects, start_early
from tests.rigs.waiting import wait_until

SECONDS = 30
OTHER_VERBS = sorted({*VERBS, *ALIASES} - {"attach"})


@pytest.fixture
def environ(workdir: Path) -> Iterator[dict[str, str]]:
    """The variables of a user who has no link."""
    own = {f"OCATTACH_{name}_DIR": str(workdir / name.lower()) for name in ("CONFIG", "STATE", "RUNTIME")}
    yield {**os.environ, **own}
    EARLY.end()
    wait_until(lambda: not links(own["OCATTACH_RUNTIME_DIR"]), "the link processes to end")


def links(runtime: str) -> list[psutil.Process]:
    """The link processes with this directory for their sockets."""
    found = []
    for process in psutil.process_iter(["cmdline", "environ"]):
        variables = process.info["environ"] or {}
        if (
            "ocattach.link" in (process.info["cmdline"] or [])
            and variables.get("OCATTACH_RUNTIME_DIR") == runtime
        ):
            found.append(process)
    return found


def test_a_process_that_is_not_told_a_key_ends_with_the_command(environ: dict[str, str]) -> None:
    before = psutil.Process().children()
    process = LinkProcess(environ)
    wait_until(lambda: links(environ["OCATTACH_RUNTIME_DIR"]), "it to start")

    process.release()

    assert psutil.Process().children() == before


def test_a_process_that_is_not_needed_is_ended_at_once(environ: dict[str, str]) -> None:
    process = LinkProcess(environ)
    (link,) = wait_until(lambda: forked(environ["OCATTACH_RUNTIME_DIR"]), "it to fork")

    process.end()

    assert psutil.wait_procs([link], timeout=SECONDS)[0] == [link]


def forked(runtime: str) -> list[psutil.Process]:
    """The link processes that have left this one."""
    return [link for link in links(runtime) if link.ppid() != os.getpid()]


def test_without_any_link_one_starts_before_the_command_line_is_loaded(environ: dict[str, str]) -> None:
    start_early(["frontend", "--print-url"], environ)

    assert EARLY.process is not None


def test_where_a_link_runs_none_starts_early(environ: dict[str, str]) -> None:
    runtime = Path(environ["OCATTACH_RUNTIME_DIR"])
    runtime.mkdir(mode=0o700)
    (runtime / "other.sock").touch()

    start_early(["frontend"], environ)

    assert EARLY.process is None


def test_a_process_with_other_variables_is_not_taken(environ: dict[str, str]) -> None:
    start_early(["frontend"], environ)

    assert EARLY.take({**environ, "OTHER": "1"}) is None


@pytest.mark.parametrize("words", [["frontend"], ["docker://frontend", "-c"], ["attach", "frontend"]])
def test_a_command_line_that_names_an_environment_connects(words: list[str]) -> None:
    assert connects(words)


@pytest.mark.parametrize(
    "words",
    [[], ["--list"], ["session", "list"], ["https://a.example"], *([verb] for verb in OTHER_VERBS)],
    ids=" ".join,
)
def test_other_command_lines_do_not(words: list[str]) -> None:
    assert not connects(words)


def test_a_command_that_fails_leaves_no_process(environ: dict[str, str]) -> None:
    ran = subprocess.run(
        [sys.executable, "-m", "ocattach", "unknown"],
        env=environ,
        capture_output=True,
        text=True,
        timeout=SECONDS,
        check=False,
    )

    assert ran.returncode != 0
    wait_until(lambda: not links(environ["OCATTACH_RUNTIME_DIR"]), "the link process to end")
