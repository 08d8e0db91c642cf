"""What clients of a local port need: the same from link to link, and for this account alone."""

import os
import stat
from collections.abc import Mapping
from pathlib import Path

import pytest

from ocattach.link.files import credential_file
from ocattach.link.server.credential import FIRST_PORT, PORTS, link_credential, link_ports

KEY = "0123456789abcdef"


@pytest.fixture
def environ(tmp_path: Path) -> Mapping[str, str]:
    return {"OCATTACH_STATE_DIR": str(tmp_path / "state"), "HOME": str(tmp_path)}


def test_it_is_made_once_and_private(environ: Mapping[str, str]) -> None:
    first = link_credential(KEY, environ)
    file = credential_file(KEY, environ)

    assert link_credential(KEY, environ) == first
    assert link_credential("f" * 16, environ) != first
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert first.password not in repr(first)


@pytest.mark.parametrize("content", ["", "short", "x" * 44, "x" * 42 + "\n!"])
def test_what_is_not_one_is_replaced(environ: Mapping[str, str], content: str) -> None:
    first = link_credential(KEY, environ)
    file = credential_file(KEY, environ)
    file.write_text(content)

    second = link_credential(KEY, environ)

    assert second != first
    assert file.read_text().strip() == second.password


def test_one_that_others_could_read_is_replaced(environ: Mapping[str, str]) -> None:
    first = link_credential(KEY, environ)
    credential_file(KEY, environ).chmod(0o640)

    assert link_credential(KEY, environ) != first
    assert stat.S_IMODE(credential_file(KEY, environ).stat().st_mode) == 0o600


def test_a_named_pipe_in_its_place_is_replaced(environ: Mapping[str, str]) -> None:
    link_credential(KEY, environ)
    file = credential_file(KEY, environ)
    file.unlink()
    os.mkfifo(file)

    assert link_credential(KEY, environ) == link_credential(KEY, environ)


def test_an_environments_ports_are_its_own_and_no_outgoing_connections() -> None:
    assert link_ports(KEY) == link_ports(KEY) != link_ports("f" * 16)
    assert all(FIRST_PORT <= port < FIRST_PORT + PORTS <= 30_000 for port in link_ports(KEY))
