"""A hostile relay, in the place of OpenCode's in a container: the next way is tried, or one clear error told."""

import pytest

from tests.environments import Environment
from tests.hostile import watched
from tests.main_job.laptop import Laptop
from tests.rigs import hostile

MEMORY = 150
TIMEOUT = 30
"""Seconds, where a relay is silent: it is given 10 to announce itself, and tried twice."""

EXPECTED = {
    "never announces itself": (6, "did not announce itself within 10 s"),
    "floods": (6, "did not announce itself within 64 KiB"),
    "floods stderr": (6, "did not announce itself within 10 s"),
    "speaks another version": (6, "version '99' of the protocol"),
    "ends in the middle of a frame": (6, "The relay ended."),  # before or after it is in use
    "stops in the middle of a frame": (6, "The connection was lost: "),
    "sends a frame too large": (6, "type DATA with 4294967295 bytes"),
    "reads nothing": (6, "The connection was lost: "),
    "drives the terminal": (6, "ended before it was ready"),
}


@pytest.mark.parametrize("behaviour", hostile.RELAYS)
@pytest.mark.parametrize("environment", ["docker"], indirect=True)
def test_a_hostile_relay_ends_in_one_clear_error(environment: Environment, behaviour: str) -> None:
    laptop = Laptop(environment)
    laptop.save(opencode=hostile.hostile_opencode(environment, port=1, relay=hostile.RELAYS[behaviour]))
    code, words = EXPECTED[behaviour]
    timeout = TIMEOUT if "within 10 s" in words else watched.TIMEOUT
    seen = watched.run(laptop, "frontend", "--print-url", timeout=timeout)

    assert words in seen.text
    assert (code, 1, []) == (seen.exit_code, seen.errors, seen.raw)
    assert seen.peak < MEMORY
    assert len(seen.output) < 10_000
