"""A link has the variables of the commands that attach."""

import os
from collections.abc import Iterator

import pytest

from ocattach.link.server.variables import adopt


@pytest.fixture(autouse=True)
def _environment() -> Iterator[None]:
    """That of a link; the test's own comes back afterwards."""
    before = dict(os.environ)
    os.environ.clear()
    os.environ.update(SSH_AUTH_SOCK="/old", HTTPS_PROXY="http://old", OCATTACH_STATE_DIR="/state")
    yield
    os.environ.clear()
    os.environ.update(before)


def variables() -> dict[str, str]:
    return {name: value for name, value in os.environ.items() if name != "PYTEST_CURRENT_TEST"}


def test_what_a_command_has_replaces_what_the_link_had() -> None:
    adopt({"SSH_AUTH_SOCK": "/new", "AWS_PROFILE": "work", "ODD": "\udcff", "OCATTACH_STATE_DIR": "/other"})

    assert variables() == {
        "SSH_AUTH_SOCK": "/new",
        "AWS_PROFILE": "work",
        "ODD": "\udcff",
        "HTTPS_PROXY": "http://old",
        "OCATTACH_STATE_DIR": "/state",
    }


def test_to_connect_anew_nothing_else_is_left() -> None:
    adopt({"SSH_AUTH_SOCK": "/new"}, wholly=True)

    assert variables() == {"SSH_AUTH_SOCK": "/new", "OCATTACH_STATE_DIR": "/state"}
