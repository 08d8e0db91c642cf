"""The command blocks of the README, section by section, and of other pages, each on a laptop without connections."""

import os
import re
import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.docs.markdown import CHECKOUT, PAGES, README, Block, blocks
from tests.environments import ENVIRONMENTS, Environment
from tests.main_job.laptop import Laptop
from tests.rigs.availability import require
from tests.rigs.terminal import Terminal

SHELL = ["bash", "-euo", "pipefail", "-c"]
SECONDS = 60
TUI = "Ask anything"

runnable = [(page, block) for page in PAGES for block in blocks(page) if block.rig]
INSTALLERS = "installers"
"""What tests/packaging runs."""

CHECKOUTS = "checkout"
"""This very one, for who has a home of their own on this machine."""


def scope(page: Path, block: Block) -> str:
    """What shares a laptop: a section of the README, or another page."""
    return block.section if page == README else page.name


places = sorted({(scope(page, block), block.rig) for page, block in runnable if block.rig != INSTALLERS})


@contextmanager
def furnished(environment: Environment) -> Iterator[Mapping[str, str]]:
    """The variables on a laptop with ocattach on PATH; what the blocks leave running ends."""
    (environment.home.parent / "app").mkdir(exist_ok=True)  # /app, where the environment is a container
    search = os.pathsep.join([str(Path(sys.executable).parent), environment.variables["PATH"]])
    variables = {**environment.variables, "PATH": search}
    try:
        yield variables
    finally:
        if environment.entry["transport"] == "local":
            stop = ["ocattach", "--stop", "local://"]
            subprocess.run(stop, env=variables, cwd=environment.laptop, check=False, capture_output=True)
        Laptop(environment).end_links()


def write_definitions(section: str, directory: Path) -> None:
    """Make the directory a project with the files that the section shows."""
    for block in blocks(README):
        if block.section == section and block.language == "jsonc":
            file = directory / block.code.splitlines()[0].removeprefix("// ")
            file.parent.mkdir(exist_ok=True)
            file.write_text(block.code)


def run(block: Block, variables: Mapping[str, str], cwd: Path) -> None:
    """Run a block; it must end as it is said to."""
    ran = subprocess.run(
        [*SHELL, block.code],
        env=variables,
        cwd=cwd,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=SECONDS,
        check=False,
    )
    assert ran.returncode == block.exit_code, f"{block.code}\n{ran.stdout}\n{ran.stderr}"


def run_in_terminal(block: Block, variables: Mapping[str, str], cwd: Path, directory: Path) -> None:
    """Run a block that opens the TUI, and leave the TUI; the steps are those that the README shows."""
    with (
        require("tmux"),
        Terminal([*SHELL, block.code], directory=directory, environment=variables, cwd=cwd) as terminal,
    ):
        terminal.wait_for(TUI, timeout=SECONDS)
        terminal.send_keys("C-c")
        assert terminal.wait_for_exit() == 0
        screen = terminal.screen(history=True)
    for line in steps(block):
        assert re.search(re.sub(r"\d+", r"\\d+", re.escape(line)), screen), screen


def steps(block: Block) -> list[str]:
    """The lines that the README says a block prints, if it says so right below."""
    following = [*blocks(README)]
    shown = following[following.index(block) + 1]
    return shown.code.splitlines() if shown.language == "text" else []


@pytest.mark.parametrize(("section", "rig"), places)
def test_the_blocks_work_one_after_the_other(
    section: str, rig: str, workdir: Path, request: pytest.FixtureRequest
) -> None:
    make = ENVIRONMENTS["local" if rig == CHECKOUTS else rig]
    with make(request) as environment, furnished(environment) as variables:
        cwd = CHECKOUT if rig == CHECKOUTS else environment.laptop
        write_definitions(section, environment.laptop)
        for page, block in runnable:
            if (scope(page, block), block.rig) != (section, rig):
                continue
            if block.needs_terminal:
                run_in_terminal(block, variables, cwd, workdir)
            else:
                run(block, variables, cwd)
