"""A world for each test."""

from collections.abc import Iterator
from contextlib import ExitStack

import pytest

from tests.opencode.world import World
from tests.rigs.availability import require
from tests.rigs.directories import short_directory
from tests.rigs.local import local_machine


@pytest.fixture
def world() -> Iterator[World]:
    with ExitStack() as opened:
        opened.enter_context(require("opencode"))
        machine = opened.enter_context(local_machine(opened.enter_context(short_directory())))
        yield World(machine, opened)
