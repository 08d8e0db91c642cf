"""The laptop on which `ocattach` runs."""

from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from tests.environments import Environment
from tests.main_job.laptop import Laptop
from tests.rigs.directories import short_directory


@pytest.fixture
def laptop(environment: Environment) -> Iterator[Laptop]:
    """A laptop of the test's own, with the environment saved as "frontend"."""
    with new_laptop(environment) as laptop:
        yield laptop


@contextmanager
def new_laptop(environment: Environment) -> Iterator[Laptop]:
    """The same, for as long as it is wanted."""
    with short_directory() as home:
        laptop = Laptop(environment, home)
        laptop.save()
        yield laptop
        laptop.end_links()
