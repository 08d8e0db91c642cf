"""Directories, paths and values that mean something to shells arrive as they are, through every login shell."""

import os
import shutil
import signal
import subprocess
from collections.abc import Sequence
from pathlib import Path

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from ocattach.config.targets.rules import check_workdir
from ocattach.daemon.lifecycle import start_daemon
from ocattach.daemon.probe import probe
from ocattach.daemon.script import DaemonSettings
from ocattach.execution import CommandResult
from ocattach.transports.ssh.command import LOADER, loader_input
from tests.rigs.waiting import wait_until

pytestmark = pytest.mark.needs_programs  # the login shells that there are

SHELLS = [name for name in ("sh", "bash", "dash", "zsh", "mksh", "fish", "tcsh") if shutil.which(name)]
FAKE = """#!/bin/sh
# Stands for opencode: what it was given, and then the line that a daemon prints.
pwd >"$SEEN/cwd"
env >"$SEEN/env"
echo "opencode server listening on http://127.0.0.1:4711"
exec sleep 60
"""
NASTY = [
    "$(touch pwned)", "`touch pwned`", "'; touch pwned; '", '"; touch pwned; "', "& touch pwned &", "a b", "-n", "--",
    "*", "?", "~", "#", "!!", "\\", "%s%n", "%24%28touch%20pwned%29", "$HOME", "${IFS}", "{a,b}", "é", "=x", "\\0141",
]  # fmt: skip
names = st.text("$`\"'\\;&|<>(){}[]*?!#~ -%0nA=é^", min_size=1, max_size=14)
few = settings(max_examples=12, suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)


class Machine:
    """A home with directories of such names, reached through a login shell as ssh reaches it."""

    def __init__(self, shell: str, home: Path) -> None:
        self.shell, self.home = shell, home

    def run(self, argv: Sequence[str], *, stdin: bytes = b"", timeout: float) -> CommandResult:
        """Hand a command to the login shell."""
        ran = subprocess.run(
            [self.shell, "-c", LOADER],
            input=loader_input(argv) + stdin,
            capture_output=True,
            timeout=timeout,
            check=False,
            cwd=self.home,
            env={
                "HOME": str(self.home),
                "PATH": os.environ["PATH"],
                "SEEN": str(self.home),
                "LC_ALL": "C.UTF-8",
            },
        )
        return CommandResult(ran.returncode, ran.stdout, ran.stderr)

    def make(self, name: str) -> Path:
        """A directory of that name, with a program in it."""
        folder = self.home / "work" / name
        folder.mkdir(parents=True, exist_ok=True)
        program = folder / "opencode"
        program.write_text(FAKE)
        program.chmod(0o755)
        return folder

    def is_clean(self) -> bool:
        """Whether no text was taken for a command."""
        return not [path for path in self.home.rglob("pwned") if path.name == "pwned"]


@pytest.fixture(params=SHELLS)
def machine(request: pytest.FixtureRequest, workdir: Path) -> Machine:
    return Machine(str(request.param), workdir)


@few
@given(names)
@example("".join(NASTY).replace("/", ""))
def test_a_directory_of_any_name_is_found(machine: Machine, name: str) -> None:
    folder = machine.make(name)
    check_workdir(str(folder))

    found = probe(
        machine.run, DaemonSettings(workdir=str(folder), opencode=str(folder / "opencode")), timeout=20
    )

    assert found.workdir == str(folder)
    assert found.opencode == str(folder / "opencode")
    assert machine.is_clean()


@pytest.mark.parametrize("name", NASTY)
def test_a_daemon_gets_directory_path_and_variables_as_they_are(machine: Machine, name: str) -> None:
    folder = machine.make(name)
    settings = DaemonSettings(
        opencode=str(folder / "opencode"),
        workdir=str(folder),
        env=(("NASTY", name), ("ALL", "".join(NASTY))),
    )

    status = start_daemon(machine.run, settings, password="secret", timeout=20)

    try:
        assert status.port == 4711
        written = wait_until((machine.home / "env").read_text, "its variables")
        assert (machine.home / "cwd").read_text() == f"{folder}\n"
        assert f"NASTY={name}" in written.splitlines()
        assert f"ALL={''.join(NASTY)}" in written.splitlines()
        assert machine.is_clean()
    finally:
        assert status.daemon
        os.kill(status.daemon.pid, signal.SIGKILL)
