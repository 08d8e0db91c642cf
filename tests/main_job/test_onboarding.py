"""A new developer clones a repository whose environments are defined already, and it just works."""

import json
import os
import re
import subprocess
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from pathlib import Path

import psutil
import pytest

from tests.environments import ENVIRONMENTS, Environment
from tests.main_job.laptop import Laptop
from tests.main_job.test_terminal import READY, TUI_SECONDS, leave, terminal
from tests.rigs.directories import short_directory
from tests.rigs.podman import PodmanEngine
from tests.rigs.ssh import SSHMachines
from tests.rigs.terminal import Terminal

OTHERS = {"api": "podman", "worker": "ssh"}
"""What the repository defines besides a frontend in a container of Docker's, and where each is."""

AUTHOR = ("-c", "user.name=author", "-c", "user.email=author@example.com", "-c", "init.defaultBranch=main")
QUESTION = "Use frontend? [y/n]:"
ASKED = "frontend is defined by"


def git(*words: str | Path) -> None:
    """Run git as somebody whose own configuration does not matter."""
    nothing = dict.fromkeys(("GIT_CONFIG_GLOBAL", "GIT_CONFIG_SYSTEM"), os.devnull)
    subprocess.run(["git", *AUTHOR, *words], env={**os.environ, **nothing}, check=True, capture_output=True)


@pytest.fixture
def team(
    podman_engine: PodmanEngine,  # noqa: ARG001  started before, and not with the variables of the first one's laptop
    ssh_machines: SSHMachines,  # noqa: ARG001  the same: what runs for that laptop is ended with it
    environment: Environment,
    request: pytest.FixtureRequest,
) -> Iterator[Mapping[str, Environment]]:
    """Three environments at once, by the names that the team gives them."""
    with ExitStack() as stack:
        others = {name: stack.enter_context(ENVIRONMENTS[kind](request)) for name, kind in OTHERS.items()}
        yield {"frontend": environment, **others}


@pytest.fixture
def repository(team: Mapping[str, Environment], workdir: Path) -> Path:
    """A repository into which somebody has committed their definitions."""
    directory = workdir / "shop"
    git("init", "--quiet", directory)
    definitions = {name: {**each.entry, "workdir": each.workdir} for name, each in team.items()}
    (directory / "opencode.json").write_text(json.dumps({"environments": definitions}, indent=2))
    git("-C", directory, "add", "opencode.json")
    git("-C", directory, "commit", "--quiet", "--message", "Define our environments")
    return directory


@contextmanager
def developer(team: Mapping[str, Environment], repository: Path) -> Iterator[Laptop]:
    """Somebody with a home of their own, in a clone of the repository that was made just now."""
    with short_directory() as home:
        laptop = Laptop(team["frontend"], home)
        for each in team.values():
            path = f"{each.variables['PATH']}:{laptop.variables['PATH']}"
            laptop.variables = {**each.variables, **laptop.variables, "PATH": path}
        laptop.variables["HOME"] = str(home)
        laptop.cwd = home / "shop"
        git("clone", "--quiet", repository, laptop.cwd)
        yield laptop
        laptop.end_links()


def use_tui(opened: Terminal, words: str) -> None:
    """See that the agent answers, and leave."""
    opened.wait_for(READY, timeout=TUI_SECONDS)
    opened.send_text(words)
    opened.wait_for(words)
    opened.send_keys("Enter")
    opened.wait_for(f"You said: {words}", timeout=TUI_SECONDS)
    assert leave(opened) == 0


def states(laptop: Laptop) -> dict[str, str]:
    found = laptop.run("--status", "--timeout", "30", "-o", "json").document["environments"]
    return {each["name"]: each["state"] for each in found}


def pid_inside(process: psutil.Process) -> int:
    """What the process itself takes for its number (proc(5), NSpid in status)."""
    (line,) = [
        line
        for line in Path(f"/proc/{process.pid}/status").read_text().splitlines()
        if line.startswith("NSpid:")
    ]
    return int(line.split()[-1])


@pytest.mark.parametrize("environment", ["docker"], indirect=True)
def test_who_clones_the_repository_is_asked_once_and_works_and_a_second_finds_the_same_daemon(
    environment: Environment, team: Mapping[str, Environment], repository: Path, workdir: Path
) -> None:
    with developer(team, repository) as first, developer(team, repository) as second:
        listed = [re.split(r"  +", line) for line in first.run("--list").stdout.splitlines()[1:]]
        assert listed == [
            ["api", "podman://frontend-app:/work", f"project: {first.cwd}/opencode.json", "never"],
            ["frontend", "docker://frontend-app:/work", f"project: {first.cwd}/opencode.json", "never"],
            ["worker", f"ssh://main{team['worker'].workdir}", f"project: {first.cwd}/opencode.json", "never"],
        ]
        assert states(first) == dict.fromkeys(team, "untrusted")

        with terminal(first, workdir, "frontend") as opened:
            screen = opened.wait_for(QUESTION)
            assert f"{ASKED} {first.cwd}/opencode.json, which you have not approved" in screen
            assert "run `opencode serve` in docker://frontend-app:/work" in screen
            assert not environment.processes()
            opened.send_text("y")
            opened.send_keys("Enter")
            use_tui(opened, "hello from who is new")
            assert "✓ Started daemon on port" in opened.screen(history=True)

        with terminal(first, workdir, "frontend") as opened:
            use_tui(opened, "hello again")
            again = opened.screen(history=True)
            assert "✓ Daemon already running on port" in again
            assert ASKED not in again

        assert states(first) == {"api": "untrusted", "frontend": "running", "worker": "untrusted"}
        for name in OTHERS:
            assert first.run("trust", name).exit_code == 0
        assert states(first) == {"api": "stopped", "frontend": "running", "worker": "stopped"}

        used = first.connect().document["daemon"]
        assert second.run("frontend", "--print-url", "-o", "json").exit_code == 5
        found = second.connect("frontend", "--trust").document["daemon"]
        assert found == {**used, "started": False}
        (serving,) = [process for process in environment.processes() if "serve" in process.cmdline()]
        assert found["pid"] == pid_inside(serving)
