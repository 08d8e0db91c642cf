"""Desks."""

from collections.abc import Iterator

import pytest

from tests.main_job.conftest import laptop, new_laptop
from tests.rigs.directories import short_directory
from tests.survey.desk import Desk

__all__ = ["desk", "laptop", "new_laptop"]


@pytest.fixture
def desk() -> Iterator[Desk]:
    """A laptop without any connection yet."""
    with short_directory() as home:
        yield Desk(home)
