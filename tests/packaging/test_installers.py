"""The wheel, as `uv tool install` and `pipx install` make a program of it, on every Python that is here."""

import importlib.util
import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Mapping
from pathlib import Path

import pytest

import ocattach
from tests.docs.markdown import CHECKOUT, README, blocks
from tests.rigs.availability import Unavailable, require
from tests.rigs.local import LocalMachine

SUPPORTED = ("3.11", "3.12", "3.13", "3.14")
Install = Callable[[Path, Path, str], Path]


def interpreters() -> list[str]:
    """The supported Pythons on PATH and pyenv's, besides the one that runs the tests."""
    root = Path(os.environ.get("PYENV_ROOT", Path.home() / ".pyenv"))
    found = {}
    for version in SUPPORTED:
        installed = sorted(root.glob(f"versions/{version}.*/bin/python{version}"))
        program = str(installed[-1]) if installed else shutil.which(f"python{version}")
        if program:
            found[version] = program
    found.pop(f"{sys.version_info.major}.{sys.version_info.minor}", None)  # that of the README's commands
    return [*found.values()]


def with_uv(wheel: Path, folder: Path, python: str) -> Path:
    """The program as uv has installed it."""
    variables = {"UV_TOOL_DIR": str(folder / "tools"), "UV_TOOL_BIN_DIR": str(folder / "bin")}
    uv = [sys.executable, "-m", "uv", "tool", "install", "--no-python-downloads", "--python", python]
    subprocess.run([*uv, str(wheel)], env={**os.environ, **variables}, check=True, capture_output=True)
    return folder / "bin" / "ocattach"


README_BLOCKS = [block.code for block in blocks(README) if block.rig == "installers"]


def by_the_block(code: str) -> Install:
    """What a block of the README installs from a checkout."""

    def install(_: Path, folder: Path, python: str) -> Path:
        places = {
            "PIPX_HOME": "home",
            "PIPX_BIN_DIR": ".local/bin",
            "PIPX_MAN_DIR": "man",
            "UV_TOOL_DIR": "tools",
        }
        variables = {name: str(folder / place) for name, place in places.items()}
        variables |= {
            "HOME": str(folder),
            "XDG_CACHE_HOME": os.environ.get("XDG_CACHE_HOME", str(Path.home() / ".cache")),
        }
        variables |= {"UV_PYTHON": python, "PIPX_DEFAULT_PYTHON": python}
        variables["PATH"] = f"{Path(python).parent}:{os.environ['PATH']}"
        command = ["bash", "-euc", code]
        subprocess.run(
            command, cwd=CHECKOUT, env={**os.environ, **variables}, check=True, capture_output=True
        )
        assert "pipx" not in code or (folder / "man/man1/ocattach.1").exists()
        return folder / ".local/bin/ocattach"

    return install


CASES: Mapping[str, tuple[Install, str]] = {
    **{f"uv-{Path(python).name}": (with_uv, python) for python in interpreters()},
    **{code.splitlines()[0]: (by_the_block(code), sys.executable) for code in README_BLOCKS},
}


@pytest.fixture(autouse=True)
def _installers() -> None:
    with require("installers"):
        missing = [name for name in ("uv", "pipx") if importlib.util.find_spec(name) is None]
        if missing:
            raise Unavailable(f"not installed: {', '.join(missing)}")


@pytest.mark.parametrize(("install", "python"), CASES.values(), ids=CASES)
def test_the_installed_program_works_for_a_user_who_has_nothing_else_of_ours(
    wheel: Path, tmp_path: Path, local: LocalMachine, install: Install, python: str
) -> None:
    program = install(wheel, tmp_path, python)

    def prints(*arguments: str) -> str:
        return subprocess.run(
            [program, *arguments],
            env=local.environment,
            cwd=local.workdir,
            check=True,
            capture_output=True,
            text=True,
        ).stdout

    assert prints("--version") == f"ocattach {ocattach.__version__}\n"
    prints("--save", "here", "local://", "--workdir", str(local.workdir))
    assert [saved["name"] for saved in json.loads(prints("--list", "-o", "json"))["connections"]] == ["here"]
    attached = json.loads(prints("here", "--print-url", "-o", "json"))
    assert attached["daemon"]["started"]
    assert json.loads(prints("--stop", "here", "-o", "json"))["stopped"] == attached["daemon"]["pid"]
