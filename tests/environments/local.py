"""This machine."""

from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import psutil
import pytest

from tests.environments.environment import Environment
from tests.rigs.directories import short_directory
from tests.rigs.local import local_machine
from tests.rigs.namespaces import Network
from tests.rigs.processes import command_lines


@contextmanager
def local_environment(request: pytest.FixtureRequest) -> Iterator[Environment]:
    """This machine, with an empty home."""
    request.getfixturevalue("opencode_bin")
    with short_directory() as directory, local_machine(directory) as machine:
        home = str(machine.home)
        yield Environment(
            entry={"transport": "local"},
            variables=machine.environment,
            workdir=str(machine.workdir),
            home=machine.home,
            model=machine.model,
            network=Network(Path("/proc/self")),
            processes=lambda: processes_of_home(home),
            connections=lambda: 0,
            route="direct",
            laptop=machine.home,
        )


def processes_of_home(home: str) -> list[psutil.Process]:
    """The daemons that run for a home directory; children of the test are not among them."""
    found = []
    for pid, argv in command_lines():
        with suppress(psutil.Error, OSError):
            if "serve" in argv:
                process = psutil.Process(pid)
                found += [process] if process.environ().get("HOME") == home else []
    return found
