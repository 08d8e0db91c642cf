"""Machines with an OpenCode of some age."""

from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import pytest

from tests.environments import ENVIRONMENTS
from tests.main_job.laptop import Laptop
from tests.rigs.availability import require
from tests.rigs.versions import command

MakeLaptop = Callable[..., Laptop]


@pytest.fixture
def laptop_with(request: pytest.FixtureRequest) -> Iterator[MakeLaptop]:
    """Makes this machine a laptop, with one opencode on PATH for the TUI and another for the daemon."""
    with ExitStack() as opened:

        def make(*, client: str | Path = "current", daemon: str | Path = "current") -> Laptop:
            return opened.enter_context(machine(request, program(client), program(daemon)))

        yield make


@contextmanager
def machine(request: pytest.FixtureRequest, client: Path, daemon: Path) -> Iterator[Laptop]:
    """The local environment with these two."""
    with ENVIRONMENTS["local"](request) as environment:
        link = environment.laptop.parent / "bin/opencode"
        link.unlink()
        link.symlink_to(client)
        laptop = Laptop(environment)
        laptop.save(opencode=str(daemon))
        try:
            yield laptop
        finally:
            laptop.run("--stop", "frontend", "--force")
            laptop.end_links()


def program(version: str | Path) -> Path:
    """The opencode of a version, or a program that stands for one; the test is skipped where it is not there."""
    if isinstance(version, Path):
        return version
    with require("opencode-versions"):
        return command(version)
