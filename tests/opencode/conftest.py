"""A world for all tests, and a session for each."""

from collections.abc import Iterator
from contextlib import ExitStack

import pytest

from tests.opencode.world import World
from tests.rigs.availability import require
from tests.rigs.directories import short_directory
from tests.rigs.local import local_machine


@pytest.fixture(scope="module")
def shared_world() -> Iterator[World]:
    """Its daemon goes on from test to test; one that ends it starts another."""
    with ExitStack() as opened:
        opened.enter_context(require("opencode"))
        machine = opened.enter_context(local_machine(opened.enter_context(short_directory())))
        yield World(machine, opened)


@pytest.fixture
def world(shared_world: World) -> Iterator[World]:
    with shared_world.with_session() as world:
        yield world
