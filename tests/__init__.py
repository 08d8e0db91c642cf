"""The test suite. A package, so that `tests.rigs` means this one wherever pytest, mypy or a benchmark asks."""
