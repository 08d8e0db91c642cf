"""What fuzzing began from and what it found once, again; and a moment of it, from the same seed each time."""

import random
from pathlib import Path

import pytest

from tests.fuzz.mutation import mutated
from tests.fuzz.targets import TARGETS, corpus

INPUTS = 300


@pytest.mark.parametrize(
    "path",
    [path for name in TARGETS for path in corpus(name)],
    ids=lambda path: f"{path.parent.name}-{path.name}",
)
def test_what_is_in_the_corpus_breaks_no_promise(path: Path) -> None:
    TARGETS[path.parent.name](path.read_bytes())


@pytest.mark.parametrize("name", TARGETS)
def test_nor_does_what_is_like_it(name: str) -> None:
    chance = random.Random(name)  # noqa: S311 - the same each time
    known = [path.read_bytes() for path in corpus(name)]
    for _ in range(INPUTS):
        TARGETS[name](mutated(chance, known))
