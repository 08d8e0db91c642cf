"""A scheme of another package is small, and CONTRIBUTING names every file of it."""

import re
from pathlib import Path

ROOT = Path(__file__).parents[2]
EXAMPLE = ROOT / "tests/outside"
MOST_FILES = 7
MOST_LINES = 150


def files() -> list[Path]:
    """All that the example consists of, its rig included."""
    return sorted(path for path in EXAMPLE.rglob("*") if path.is_file() and path.suffix != ".pyc")


def test_a_scheme_takes_few_files_and_lines() -> None:
    lines = [line for path in files() for line in path.read_text().splitlines()]

    assert len(files()) <= MOST_FILES
    assert len(lines) <= MOST_LINES


def test_the_recipe_names_each_file_and_no_other() -> None:
    page = (ROOT / "CONTRIBUTING.md").read_text()
    recipe = page.partition("## Adding a transport")[2].partition("\n## ")[0]
    named = re.findall(r"`(tests/outside/[^`]*\.\w+)`", recipe)

    assert sorted(named) == [str(path.relative_to(ROOT)) for path in files()]
