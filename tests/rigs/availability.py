"""What a rig needs, and what happens to a test when it is not there: a skip, or in CI a failure."""

import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

REQUIRED_VARIABLE = "OCATTACH_TEST_REQUIRE"


class Unavailable(Exception):  # noqa: N818  it is a fact about this machine, not an error of the rig
    """This machine cannot have the rig, and why."""


def need(*programs: str, root: bool = False) -> None:
    """Raise Unavailable unless every program is on PATH, and where asked we are root."""
    if root and os.geteuid() != 0:
        raise Unavailable("needs root, for namespaces and mounts")
    missing = [program for program in programs if shutil.which(program) is None]
    if missing:
        raise Unavailable(f"not installed: {', '.join(missing)}")


def is_required(name: str) -> bool:
    """Whether OCATTACH_TEST_REQUIRE, a list with commas, names this rig."""
    return name in os.environ.get(REQUIRED_VARIABLE, "").split(",")


@contextmanager
def require(name: str) -> Iterator[None]:
    """Skip the test when the rig built inside is unavailable; fail it where the rig is required.

    Only Unavailable is turned into a skip: a rig that breaks is an error.
    """
    try:
        yield
    except Unavailable as reason:
        if is_required(name):
            pytest.fail(f"{name} is required here ({REQUIRED_VARIABLE}), but: {reason}", pytrace=False)
        pytest.skip(f"{name}: {reason}")
