"""What is in the wheel, and that an installed one works without the checkout."""

import json
import subprocess
from pathlib import Path
from zipfile import ZipFile

import pytest

import ocattach
from tests.packaging.conftest import CHECKOUT
from tests.rigs.local import LocalMachine

PACKAGE = CHECKOUT / "ocattach"


def run(*argv: str | Path, cwd: Path) -> str:
    """What a command prints, run away from the checkout."""
    return subprocess.run(argv, cwd=cwd, check=True, capture_output=True, text=True).stdout


def test_the_wheel_has_the_whole_package_and_nothing_else(wheel: Path) -> None:
    files = {
        path.relative_to(CHECKOUT).as_posix()
        for path in PACKAGE.rglob("*")
        if path.is_file() and "__pycache__" not in path.parts
    }
    with ZipFile(wheel) as archive:
        packed = {name for name in archive.namelist() if not name.startswith("ocattach-")}

    assert packed == files


@pytest.mark.parametrize(
    "name",
    [
        "daemon/environment.sh",
        "daemon/lookup.sh",
        "daemon/probe.sh",
        "daemon/start.sh",
        "daemon/stop.sh",
        "tunnel/relay.js",
        "py.typed",
    ],
)
def test_what_is_no_module_is_packed_too(wheel: Path, name: str) -> None:
    with ZipFile(wheel) as archive:
        assert archive.read(f"ocattach/{name}") == (PACKAGE / name).read_bytes()


def test_an_installed_one_says_its_version(installed: Path, tmp_path: Path) -> None:
    expected = f"ocattach {ocattach.__version__}\n"

    assert run(installed / "python", "-m", "ocattach", "--version", cwd=tmp_path) == expected
    assert run(installed / "ocattach", "--version", cwd=tmp_path) == expected


def test_an_installed_one_is_not_the_checkout(installed: Path, tmp_path: Path) -> None:
    where = "import ocattach; print(ocattach.__file__)"

    assert Path(run(installed / "python", "-c", where, cwd=tmp_path).strip()).is_relative_to(installed.parent)


def test_an_installed_one_adds_no_name_but_its_own(installed: Path, tmp_path: Path) -> None:
    names = "from importlib.metadata import files; print(*{path.parts[0] for path in files('ocattach')})"
    found = run(installed / "python", "-c", names, cwd=tmp_path).split()

    assert {name for name in found if not name.endswith(".dist-info")} == {"..", "ocattach"}


def test_an_installed_one_does_the_main_job(installed: Path, local: LocalMachine) -> None:
    program = installed / "ocattach"

    def ocattach_prints(*arguments: str) -> str:
        return subprocess.run(
            [program, *arguments],
            env=local.environment,
            cwd=local.workdir,
            check=True,
            capture_output=True,
            text=True,
        ).stdout

    attached = json.loads(ocattach_prints("local://", "--print-url", "-o", "json"))

    assert attached["workdir"] == str(local.workdir)
    assert attached["daemon"]["started"]
    assert (
        json.loads(ocattach_prints("--stop", "local://", "-o", "json"))["stopped"]
        == attached["daemon"]["pid"]
    )
