"""What the pages say is so: options, exit codes, files, definitions."""

import functools
import re
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest

from ocattach import errors
from ocattach.cli.registry import COMMANDS as MAIN_COMMANDS
from ocattach.cli.session import COMMANDS as SESSION_COMMANDS
from ocattach.config.files.safe import Problem
from ocattach.config.project import project_definitions
from ocattach.config.resolver import resolve
from ocattach.config.settings import Settings, load_settings
from tests.docs.markdown import (
    CHECKOUT,
    COMMANDS,
    CONTRIBUTING,
    PAGES,
    README,
    SECURITY,
    SETTINGS,
    Block,
    anchors,
    blocks,
    commands,
    inline_code,
    links,
    points,
    table_rows,
)

OPTION = re.compile(r"(?<![\w-])--?[a-z][a-z-]*")
OURS = re.compile(r"(?:ocattach\b|-)")
URI = re.compile(r"\w+://[^…]+")
NO_ERROR = {0}
"""Exit codes that no error of ours has."""

WITHIN_PICTURES = {"http://www.w3.org", "https://www.textualize.io", "http://127.0.0.1", "http://frontend"}
"""The namespace of SVG, a comment, and the loopback: nothing is fetched."""

by_name = pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)


def definitions() -> list[Block]:
    """The blocks of the README that show a project's file, whose path is their first line's comment."""
    return [block for block in blocks(README) if block.language == "jsonc"]


@functools.cache
def options() -> set[str]:
    """All that any `--help` has."""
    known = {"--help"}
    for command in (
        ("attach",),
        *((name,) for name in MAIN_COMMANDS),
        *(("session", name) for name in SESSION_COMMANDS),
    ):
        ran = subprocess.run(
            [sys.executable, "-m", "ocattach", *command, "--help"], check=True, capture_output=True, text=True
        )
        known |= {*OPTION.findall(ran.stdout)}
    return known


@by_name
def test_every_option_exists(page: Path) -> None:
    ours = [command.partition("|")[0] for command in commands(page) if OURS.match(command)]
    named = {option for command in ours for option in OPTION.findall(command.partition(" -- ")[0])}

    assert named <= options()


@by_name
def test_every_make_target_exists(page: Path) -> None:
    targets = re.findall(r"^([a-z-]+):", (CHECKOUT / "Makefile").read_text(), re.MULTILINE)
    named = {command.split()[1] for command in commands(page) if command.startswith("make ")}

    assert named <= set(targets)


@by_name
def test_every_link_leads_somewhere(page: Path) -> None:
    local = [link for link in links(page) if "://" not in link]

    assert [link for link in local if not leads_somewhere(page, link)] == []


def leads_somewhere(page: Path, link: str) -> bool:
    """Whether there is such a file, and in it such a heading."""
    file, _, anchor = link.partition("#")
    target = page.parent / file if file else page
    return target.exists() and (not anchor or anchor in anchors(target))


@by_name
def test_every_file_that_is_named_exists(page: Path) -> None:
    places = ("ocattach/", "tests/", "scripts/", "benchmarks/", ".ci/")
    named = {code for code in inline_code(page) if code.startswith(places) and " " not in code}

    assert [name for name in sorted(named) if "NAME" not in name and not (CHECKOUT / name).exists()] == []


def test_the_table_of_exit_codes_is_that_of_the_errors() -> None:
    classes = [found for found in vars(errors).values() if isinstance(found, type)]
    expected: dict[int, set[str]] = {code: set() for code in NO_ERROR}
    for error in classes:
        if issubclass(error, errors.OcattachError):
            expected.setdefault(error.exit_code, set()).add(error.code)

    told = {
        int(code): set(re.findall(r"`([^`]+)`", names))
        for code, _, names, _ in table_rows(COMMANDS, "Exit codes")
    }

    assert told == expected


@pytest.mark.parametrize("block", definitions(), ids=lambda block: block.code.splitlines()[0])
def test_every_definition_can_be_used(block: Block, tmp_path: Path) -> None:
    file = tmp_path / block.code.splitlines()[0].removeprefix("// ")
    file.parent.mkdir(exist_ok=True)
    file.write_text(block.code)

    found = list(project_definitions(tmp_path))

    assert found
    assert [problem.error for problem in found if isinstance(problem, Problem)] == []


def test_every_uri_is_one() -> None:
    codes = [code for page in PAGES for code in inline_code(page)]
    named = {found.group() for code in codes if (found := URI.fullmatch(code))}
    named = {uri.replace("PORT", "2222") for uri in named}

    assert {uri.partition("://")[0] for uri in named} >= {"docker", "local", "ssh"}
    for uri in named:
        assert resolve(uri, cwd=CHECKOUT, environ={}).display()


def test_the_settings_that_are_shown_are_the_defaults(tmp_path: Path) -> None:
    (block,) = [block for block in blocks(SETTINGS) if block.language == "yaml"]
    (tmp_path / "config.yaml").write_text(block.code)

    assert load_settings(tmp_path) == Settings()
    by_option = {"default"}  # written by `ocattach --default`
    assert all(f"{name}:" in block.code for name in {*Settings._fields} - by_option)


MOST_LINES = 300


def test_the_readme_is_short_and_compares_nothing_before_one_has_attached() -> None:
    text = README.read_text()
    attached = text.index("ocattach frontend\n```")

    assert len(text.splitlines()) < MOST_LINES
    assert "\n|" not in text[:attached]


def test_every_page_is_linked_from_the_readme() -> None:
    pages = {f"docs/{path.name}" for path in (CHECKOUT / "docs").glob("*.md")}

    assert pages <= {link.partition("#")[0] for link in links(README)}


def test_every_command_block_is_run_or_says_why_not() -> None:
    marks = [block.mark for block in blocks(README) if block.language == "sh"]

    assert marks
    assert all(
        re.match(
            r"run: (local|docker|checkout|installers)(, in a terminal|, exits with \d+)?$|not run: \w", mark
        )
        for mark in marks
    )


def test_what_is_said_of_security_are_ten_lines_each_with_the_tests_that_show_it() -> None:
    told = points(SECURITY, "In short")

    assert len(told) == 10
    for links_of_line in told:
        assert links_of_line
        for file, test in links_of_line:
            assert file.startswith("tests/")
            assert f"\ndef {test}(" in (CHECKOUT / file).read_text(), f"{test} in {file}"


def test_every_picture_is_shown_and_names_no_place_of_who_made_it() -> None:
    pictures = {f"docs/pictures/{path.name}" for path in (CHECKOUT / "docs/pictures").iterdir()}
    shown = {
        str((page.parent / link).relative_to(CHECKOUT))
        for page in PAGES
        for link in links(page)
        if link.endswith(".svg")
    }

    assert pictures == shown
    for picture in pictures:
        drawn = (CHECKOUT / picture).read_text()
        assert set(re.findall(r"https?://[\w.]+", drawn.replace(".localhost", ""))) <= WITHIN_PICTURES
        assert not any(place in drawn for place in (tempfile.gettempdir(), str(CHECKOUT), "site-packages"))


def test_what_tests_can_require_is_told() -> None:
    sources = [file.read_text() for file in (CHECKOUT / "tests").rglob("*.py")]
    required = {name for source in sources for name in re.findall(r'\brequire\("([\w-]+)"\)', source)}

    assert {row[0].strip("`") for row in table_rows(CONTRIBUTING, "Tests")} == required


def test_every_room_is_told() -> None:
    rooms = {path.name for path in (CHECKOUT / "ocattach").iterdir() if (path / "__init__.py").exists()}
    (plan,) = [block.code for block in blocks(CONTRIBUTING) if block.section == "Rooms"]

    assert set(re.findall(r"^  (\w+)/", plan, re.MULTILINE)) == rooms
