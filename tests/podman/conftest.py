"""Accounts with a podman of their own."""

from collections.abc import Iterator
from contextlib import suppress

import psutil
import pytest

from tests.podman.account import Account
from tests.rigs.availability import require
from tests.rigs.directories import short_directory
from tests.rigs.podman import PodmanEngine
from tests.rigs.waiting import wait_until


@pytest.fixture(params=["podman_engine", "rootless_podman_engine"])
def account(request: pytest.FixtureRequest) -> Iterator[Account]:
    """Root, and an ordinary user; each with a container "frontend-app"."""
    engine: PodmanEngine = request.getfixturevalue(request.param)
    with require("podman"), short_directory() as directory, engine.container("frontend-app"):
        account = Account(engine, directory)
        yield account
        for process in account.links():
            with suppress(psutil.NoSuchProcess):  # it may just be ending
                process.terminate()
        wait_until(lambda: not account.links(), "the links to end")
