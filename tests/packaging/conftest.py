"""The wheel as users get it, built once, and an environment into which it alone was installed."""

import importlib.util
import subprocess
import sys
import venv
from pathlib import Path

import pytest

from tests.rigs.availability import Unavailable, require

CHECKOUT = Path(__file__).parents[2]
SITE_PACKAGES = Path(pytest.__file__).parents[1]
"""Where this run's own packages are, ocattach's dependencies among them."""


@pytest.fixture(scope="session")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The wheel of this checkout; nothing is fetched for it."""
    with require("hatchling"):
        if importlib.util.find_spec("hatchling") is None:
            raise Unavailable("not installed: hatchling, which builds the wheel")
    folder = tmp_path_factory.mktemp("dist")
    build = [sys.executable, "-m", "hatchling", "build", "--target", "wheel", "--directory", str(folder)]
    subprocess.run(build, cwd=CHECKOUT, check=True, capture_output=True)
    (built,) = folder.glob("*.whl")
    return built


@pytest.fixture(scope="session")
def installed(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The `bin` folder of a new virtual environment with the wheel in it; its dependencies are this run's."""
    folder = tmp_path_factory.mktemp("fresh")
    venv.create(folder, with_pip=False)
    programs = folder / "bin"
    install = ["-m", "pip", "--python", str(programs / "python"), "install", "--quiet"]
    offline = ["--no-index", "--no-deps", "--disable-pip-version-check"]
    subprocess.run([sys.executable, *install, *offline, str(wheel)], check=True)
    # Below the new one's own packages in order: an ocattach that this run has installed does not count.
    (site,) = folder.glob("lib/python*/site-packages")
    (site / "dependencies.pth").write_text(f"{SITE_PACKAGES}\n")
    return programs
