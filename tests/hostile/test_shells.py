"""A hostile shell ends in one clear error, in time, in bounded memory, and puts nothing raw on the terminal."""

import socket
import time

import pytest

from ocattach.transports.exchange import exchange
from tests.environments import Environment
from tests.hostile import watched
from tests.main_job.laptop import Laptop
from tests.rigs import hostile

MEMORY = 150
"""MiB; a link of an honest environment has 50 to 70."""

WAYS = ("local", "docker", "ssh")
EXPECTED = {
    "floods stdout": (1, "printed more than 8 MiB"),
    "floods stderr": (1, "printed more than 8 MiB"),
    "never returns": (8, "did not end"),
    "ends at once": (6, "probe script did not run"),
    "drives the terminal": (6, "probe script did not run"),
    "drives the terminal by its report": (1, "Directory /tmp does not exist"),
    "names a directory that drives the terminal": (1, "Directory /tmp does not exist"),
    "reports megabytes": (6, "probe script did not finish"),
    "reports a daemon of no sense": (1, "Directory /tmp does not exist"),
}

INSTEAD = "its login shell did not get as far as the command"
BEHIND_SSH = {
    "floods stdout": (8, INSTEAD),  # what comes before the command is skipped, however much
    "ends at once": (1, INSTEAD),
    "drives the terminal": (1, INSTEAD),
}


@pytest.fixture
def laptop(environment: Environment) -> Laptop:
    laptop = Laptop(environment)
    laptop.save(workdir="/tmp")  # noqa: S108
    return laptop


@pytest.mark.parametrize("behaviour", hostile.SHELLS)
@pytest.mark.parametrize("environment", WAYS, indirect=True)
def test_a_hostile_shell_ends_in_one_clear_error(
    request: pytest.FixtureRequest, environment: Environment, laptop: Laptop, behaviour: str
) -> None:
    scheme = environment.entry["transport"]
    engine = request.getfixturevalue("docker_engine") if scheme == "docker" else None
    machines = request.getfixturevalue("ssh_machines") if scheme == "ssh" else None
    with hostile.hostile_shell(scheme, environment, behaviour, engine=engine, machines=machines):
        seen = watched.run(laptop, "frontend", "--print-url")

    code, words = BEHIND_SSH.get(behaviour, EXPECTED[behaviour]) if scheme == "ssh" else EXPECTED[behaviour]
    assert words in seen.text
    assert (code, 1, []) == (seen.exit_code, seen.errors, seen.raw)
    assert seen.peak < MEMORY
    assert len(seen.output) < 10_000


def test_a_command_that_ended_without_reading_its_input_is_not_waited_for() -> None:
    near, far = socket.socketpair()
    with near, far:
        far.shutdown(socket.SHUT_WR)
        assert list(exchange(near, bytes(10_000_000), time.monotonic() + 10, ends_input=False)) == []
