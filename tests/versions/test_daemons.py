"""Daemons of every age are recognised, used and ended; each is the real one."""

import json
import signal
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import psutil
import pytest

from tests.main_job.laptop import Laptop
from tests.rigs.versions import OLD, command
from tests.rigs.waiting import wait_until
from tests.versions.conftest import MakeLaptop

old = pytest.mark.parametrize("version", OLD)


def daemons(laptop: Laptop) -> list[psutil.Process]:
    """The serving processes, wrappers included, that live."""
    alive = []
    for process in laptop.environment.processes():
        try:
            if process.status() != psutil.STATUS_ZOMBIE:
                alive.append(process)
        except psutil.NoSuchProcess:
            continue
    return alive


@contextmanager
def by_hand(laptop: Laptop, version: str, **variables: str) -> Iterator[subprocess.Popen[bytes]]:
    """`opencode serve` as a person starts it."""
    with laptop.environment.network.listen(0) as free:
        port = free.getsockname()[1]
    with subprocess.Popen(
        [command(version), "serve", "--hostname", "127.0.0.1", "--port", str(port)],
        env={**laptop.variables, **variables},
        cwd=laptop.environment.workdir,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
    ) as process:
        try:
            yield process
        finally:
            for left in daemons(laptop):
                left.send_signal(signal.SIGKILL)


@old
def test_an_old_daemon_is_started_used_and_ended_and_what_its_sessions_cannot_keep_is_said(
    laptop_with: MakeLaptop, version: str
) -> None:
    laptop = laptop_with(daemon=version)
    daemon = laptop.connect()

    assert daemon.document["version"] == version
    session = daemon.make_session()
    parts = daemon.prompt(session, "hello from a test")
    assert "You said: hello from a test" in [part.get("text") for part in parts]
    assert len(daemons(laptop)) == (1 if version == "1.17.0" else 2)
    assert not laptop.connect().document["daemon"]["started"]

    _, tagged = daemon.request("POST", "/session", {"metadata": {"origin": "here"}})
    said = laptop.run("frontend", "--print-url", "--verbose").stderr
    assert ("metadata" in tagged) is (version == "1.17.0")
    assert (f"OpenCode {version} there: sessions do not keep their origin" in said) is (version != "1.17.0")

    assert laptop.run("--stop", "frontend").exit_code == 0
    wait_until(lambda: not daemons(laptop), "its wrapper to end with it")


@pytest.mark.parametrize("version", [OLD[0], OLD[-1]])  # with a wrapper, and without
def test_an_old_daemon_that_was_started_by_hand_is_found_and_ended(
    laptop_with: MakeLaptop, version: str
) -> None:
    laptop = laptop_with(daemon=version)
    with by_hand(laptop, version, OPENCODE_SERVER_PASSWORD="by-hand"):
        wait_until(
            lambda: laptop.run("frontend", "--no-start", "--print-url").exit_code == 0,
            "the daemon to be found",
            timeout=30,
        )
        found = laptop.run("frontend", "--no-start", "--print-url", "-o", "json")

        assert found.document["version"] == version
        assert found.document["password"] != "by-hand", "the link has its own, and hands out no other"
        assert laptop.run("--stop", "frontend").exit_code == 1
        assert daemons(laptop)
        assert laptop.run("--stop", "frontend", "--force").exit_code == 0
        wait_until(lambda: not daemons(laptop), "its wrapper to end with it")


@pytest.mark.parametrize(("version", "refused"), [("1.17.0", True), ("current", False)])
def test_a_team_file_that_a_version_refuses_is_told_with_where_to_move_it(
    laptop_with: MakeLaptop, version: str, refused: bool
) -> None:
    laptop = laptop_with(daemon=version)
    team = {"environments": {"frontend": {"transport": "docker", "container": "app"}}}
    Path(laptop.environment.workdir, "opencode.json").write_text(json.dumps(team))
    ran = laptop.run("frontend", "--print-url", "-o", "json")

    assert (ran.exit_code == 1) is refused
    if refused:
        assert ran.document["error"]["code"] == "environment-config"
        assert "environments" in ran.document["error"]["message"]
        assert ".opencode/ocattach.json" in ran.document["error"]["hint"]
