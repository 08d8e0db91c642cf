"""A hostile daemon, behind every way in, ends in one clear error: in time, in bounded memory, nothing raw shown."""

import pytest

from tests.contract.servers import serve
from tests.environments import Environment
from tests.hostile import watched
from tests.main_job.laptop import Laptop
from tests.rigs import hostile

MEMORY = 200
"""MiB; a link of an honest environment has 50 to 70, and an answer may have 16."""

TIMEOUT = (8, "did not become ready")
LOST = (8, "The daemon cannot be reached")
FOREIGN = (7, "not an OpenCode daemon")
EXPECTED = {
    "brackets without end": FOREIGN,
    "a version of escapes": FOREIGN,
    "a version of megabytes": FOREIGN,
    "a configuration error of escapes": (1, r"rejects its configuration \x1b]0;owned"),
    "an error of escapes": (1, r"status 500 (\x1b]0;owned"),
}


@pytest.mark.parametrize("behaviour", hostile.DAEMONS)
@pytest.mark.parametrize("environment", ["local"], indirect=True)
def test_a_hostile_daemon_ends_in_one_clear_error(environment: Environment, behaviour: str) -> None:
    expect_one_error(environment, behaviour)


@pytest.mark.parametrize("behaviour", ["body without end", "a configuration error of escapes"])
@pytest.mark.parametrize("environment", ["docker"], indirect=True)
def test_so_it_does_through_a_tunnel(environment: Environment, behaviour: str) -> None:
    expect_one_error(environment, behaviour)


def expect_one_error(environment: Environment, behaviour: str) -> None:
    """Connect to an environment with such a daemon."""
    laptop = Laptop(environment)
    with serve(environment.network, hostile.DAEMONS[behaviour]) as port:
        program = hostile.hostile_opencode(environment, port=port, relay='exec opencode "$@"')
        laptop.save(opencode=program)
        seen = watched.run(laptop, "frontend", "--print-url")

    code, words = EXPECTED.get(behaviour, TIMEOUT)
    assert words in seen.text
    assert (code, 1, []) == (seen.exit_code, seen.errors, seen.raw)
    assert seen.peak < MEMORY
    assert len(seen.output) < 10_000
