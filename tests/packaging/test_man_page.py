"""The manual page: it is what `--help` says, correct, and installed with the program."""

import re
import subprocess
import sys
from pathlib import Path
from zipfile import ZipFile

import click
import pytest

from ocattach import errors
from ocattach.cli.main import command
from ocattach.cli.registry import COMMANDS, load
from scripts.man_page import commands
from tests.packaging.conftest import CHECKOUT
from tests.rigs.availability import need, require

PAGE = CHECKOUT / "docs/ocattach.1"
NO_DATE = "missing date"
"""What a page that is the same whenever it is made is blamed for."""

HELP = "--help"
"""Told once, for all of them."""

PROGRAMS = [("", command), *(found for name in COMMANDS for found in commands(name, load(name)))]


def part(begin: str, end: str) -> str:
    """What stands between two headings, as it is read."""
    found = re.search(rf"^{begin}$(.*?)(?=^{end}|\Z)", PAGE.read_text(), re.MULTILINE | re.DOTALL)
    assert found, begin
    return found[1].replace("\\-", "-").replace("\\fB", "").replace("\\fR", "")


def test_it_is_made_from_the_commands_as_they_are() -> None:
    made = subprocess.run(
        [sys.executable, CHECKOUT / "scripts/man_page.py"], check=True, capture_output=True, text=True
    )

    assert made.stdout == PAGE.read_text(), "write it anew: make man"


@pytest.mark.parametrize(("name", "chosen"), PROGRAMS, ids=[name or "ocattach" for name, _ in PROGRAMS])
def test_every_option_of_the_help_is_told_in_it(name: str, chosen: click.Command) -> None:
    printed = subprocess.run(
        [sys.executable, "-m", "ocattach", *(name or "attach").split(), "--help"],
        check=True,
        capture_output=True,
        text=True,
    ).stdout
    options = set(re.findall(r"^  (?:-\w, )?(--?[a-z-]+)", printed, re.MULTILINE))
    told = part(rf"\.SS ocattach {name}", r"\.S[HS] ") if name else part(r"\.SH OPTIONS", r"\.SH ")

    assert options >= {each.opts[-1] for each in chosen.params if isinstance(each, click.Option)}
    assert [
        option for option in sorted(options - {HELP}) if not re.search(rf"(?<![\w-]){option}(?![\w-])", told)
    ] == []


def test_it_tells_of_the_help_itself() -> None:
    assert re.search(rf"^-h, {HELP}$", part(r"\.SH OPTIONS", r"\.SH "), re.MULTILINE)


def test_it_has_every_exit_code() -> None:
    codes = {
        error.exit_code
        for error in vars(errors).values()
        if isinstance(error, type) and issubclass(error, errors.OcattachError)
    }

    assert {
        int(code) for code in re.findall(r"^(\d+)$", part(r"\.SH EXIT STATUS", r"\.SH "), re.MULTILINE)
    } == {0, *codes}


def test_a_reader_of_such_pages_finds_nothing_wrong() -> None:
    with require("mandoc"):
        need("mandoc")
    linted = subprocess.run(
        ["mandoc", "-Tlint", "-Wwarning", PAGE], capture_output=True, text=True, check=False
    )
    read = subprocess.run(
        ["mandoc", "-Tutf8", "-Owidth=100", PAGE], capture_output=True, text=True, check=True
    ).stdout

    assert [line for line in linted.stdout.splitlines() if NO_DATE not in line] == []
    text = re.sub(r".\x08", "", read)
    assert "ocattach --save frontend docker://frontend-app --workdir /app" in text
    assert re.search(r"^ +-s, --session ID\n +Open the session with this ID\.$", text, re.MULTILINE)


def test_it_is_in_the_wheel_and_where_man_looks_once_installed(wheel: Path, installed: Path) -> None:
    with ZipFile(wheel) as archive:
        (packed,) = [name for name in archive.namelist() if name.endswith("/share/man/man1/ocattach.1")]
        assert archive.read(packed) == PAGE.read_bytes()

    assert (installed.parent / "share/man/man1/ocattach.1").read_bytes() == PAGE.read_bytes()
