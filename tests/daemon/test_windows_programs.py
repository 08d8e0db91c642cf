"""Programs of Windows that WSL has on its PATH are not taken for an opencode that can run."""

from pathlib import Path

import pytest

from ocattach.config.spec import ConnectionSpec
from ocattach.daemon import check_opencode
from ocattach.errors import OpencodeIncompatibleError
from ocattach.transports import open_handler
from ocattach.transports.command import CommandTransport
from tests.environments.environment import ask_nobody

pytestmark = pytest.mark.needs_programs

SHIM = r"""#!/bin/sh
basedir=$(dirname "$(echo "$0" | sed -e 's,\\,/,g')")
case `uname` in
    *CYGWIN*|*MINGW*|*MSYS*) basedir=`cygpath -w "$basedir"`;;
esac
exec "$basedir/node_modules/opencode-ai/bin/opencode.exe"   "$@"
"""
"""What npm for Windows writes beside opencode.cmd (cmd-shim 7); pnpm writes the same without one, on Linux too."""


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The only folder of the PATH that has an opencode."""
    monkeypatch.setenv("PATH", f"{tmp_path}:/usr/bin:/bin")
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    monkeypatch.setenv("SHELL", "/bin/false")
    return tmp_path


def write(program: Path, text: str) -> None:
    program.write_text(text, newline="")
    program.chmod(0o755)


def found() -> str:
    with open_handler(
        ConnectionSpec.from_entry({"transport": "local"}), ask=ask_nobody, timeout=30
    ) as handler:
        assert isinstance(handler, CommandTransport)
        return check_opencode(handler.probe(), handler.place, handler.where)


@pytest.mark.parametrize("text", [SHIM, SHIM.replace("\n", "\r\n")])
def test_the_script_of_npm_for_windows_cannot_be_used(folder: Path, text: str) -> None:
    write(folder / "opencode", text)
    if "\r" not in text:
        write(folder / "opencode.cmd", "@ECHO off\r\n")

    with pytest.raises(OpencodeIncompatibleError) as raised:
        found()
    assert f"built for another operating system: {folder}/opencode" in raised.value.message
    assert "npm install -g opencode-ai" in raised.value.hint


def test_the_same_script_of_pnpm_can(folder: Path) -> None:
    write(folder / "opencode", SHIM)

    assert found() == f"{folder}/opencode"
