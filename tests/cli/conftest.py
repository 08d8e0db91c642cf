"""The laptop of the tests that show that nothing is touched."""

from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from tests.cli.onlooker import Onlooker


@pytest.fixture
def onlooker(workdir: Path) -> Iterator[Onlooker]:
    with ExitStack() as stack:
        yield Onlooker(workdir, stack)
