"""The laptop on which `ocattach` runs."""

from collections.abc import Iterator

import pytest

from tests.environments import Environment
from tests.main_job.laptop import Laptop


@pytest.fixture
def laptop(environment: Environment) -> Iterator[Laptop]:
    """A laptop with the environment saved as "frontend"."""
    laptop = Laptop(environment)
    laptop.save()
    yield laptop
    laptop.end_links()
