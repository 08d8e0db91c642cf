"""What ARCHITECTURE.md refers to exists: files, folders, and the names in them. Nothing of it is imported."""

import ast
import re
from collections.abc import Iterable, Iterator
from pathlib import Path

import pytest

from tests.docs.markdown import CHECKOUT, CONTRIBUTING, inline_code, links, section

PAGE = CHECKOUT / "ARCHITECTURE.md"
PLACES = ("ocattach/", "tests/", "scripts/", "docs/", "transports/")
REFERENCE = re.compile(r"(?P<path>[\w./-]+?)(?::(?P<name>[A-Za-z_]\w*(?:\.[A-Za-z_]\w*)*))?")


def references() -> list[str]:
    """Every piece of code on the page that begins like a path of this repository, once, in order."""
    return list(dict.fromkeys(code for code in inline_code(PAGE) if code.startswith(PLACES)))


def rooms() -> list[str]:
    """The folders directly below ocattach/."""
    folders = (path for path in (CHECKOUT / "ocattach").iterdir() if (path / "__init__.py").exists())
    return sorted(path.name for path in folders)


def problem(reference: str, root: Path) -> str | None:
    """What is wrong with a reference `path` or `path:Qualified.name`; None if it leads somewhere."""
    found = REFERENCE.fullmatch(reference)
    if found is None:
        return f"{reference!r} is not of the form path:name"
    path, name = root / found["path"], found["name"]
    if not path.exists() or found["path"].endswith("/") != path.is_dir():
        return f"there is no {found['path']}"
    if name is None:
        return None
    if path.suffix != ".py":
        return f"{found['path']} is not a Python file"
    return None if defines(path, name) else f"{found['path']} does not define {name}"


def defines(path: Path, name: str) -> bool:
    """Whether a module has a function, class or constant of this name; after a class, a member of it."""
    body: list[ast.stmt] = ast.parse(path.read_text()).body
    *outer, last = name.split(".")
    for part in outer:
        classes = [node for node in body if isinstance(node, ast.ClassDef) and node.name == part]
        if not classes:
            return False
        body = classes[0].body
    return last in names(body)


def names(body: Iterable[ast.stmt]) -> Iterator[str]:
    """What these statements define. What they import does not count."""
    for node in body:
        match node:
            case ast.FunctionDef(name=name) | ast.AsyncFunctionDef(name=name) | ast.ClassDef(name=name):
                yield name
            case ast.Assign(targets=targets):
                yield from (each.id for target in targets for each in variables(target))
            case ast.AnnAssign(target=ast.Name(id=name)):
                yield name
            case _:
                pass


def variables(target: ast.expr) -> Iterator[ast.Name]:
    """The variables that an assignment sets; those of `a.b = …` and `a[b] = …` are only read."""
    return (
        each for each in ast.walk(target) if isinstance(each, ast.Name) and isinstance(each.ctx, ast.Store)
    )


@pytest.mark.parametrize("reference", references())
def test_every_reference_leads_to_what_it_names(reference: str) -> None:
    assert problem(reference, CHECKOUT) is None


@pytest.mark.parametrize("room", rooms())
def test_every_folder_below_ocattach_is_named(room: str) -> None:
    assert f"ocattach/{room}/" in references()


def test_the_page_has_references_to_check() -> None:
    assert len([reference for reference in references() if ":" in reference]) > 50


def test_every_link_on_the_page_leads_to_a_file() -> None:
    local = [link for link in links(PAGE) if "://" not in link]

    assert [link for link in local if not (CHECKOUT / link.partition("#")[0]).exists()] == []


def test_contributors_are_led_to_the_page() -> None:
    assert "](ARCHITECTURE.md)" in section(CONTRIBUTING, "Rooms")


MODULE = """
import os
from shutil import which

FIRST, SECOND = 1, 2
table: dict[str, int] = {}
table["third"] = 3


def function() -> None:
    local = 4


class Outer:
    field: int = 5

    async def method(self) -> None:
        self.attribute = 6

    class Inner:
        CONSTANT = 7
"""


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """A repository with one module and one script."""
    folder = tmp_path / "ocattach"
    folder.mkdir()
    (folder / "module.py").write_text(MODULE)
    (folder / "script.sh").write_text("run() { :; }\n")
    return tmp_path


@pytest.mark.parametrize(
    "reference",
    [
        "ocattach/",
        "ocattach/module.py",
        "ocattach/script.sh",
        "ocattach/module.py:FIRST",
        "ocattach/module.py:SECOND",
        "ocattach/module.py:table",
        "ocattach/module.py:function",
        "ocattach/module.py:Outer",
        "ocattach/module.py:Outer.field",
        "ocattach/module.py:Outer.method",
        "ocattach/module.py:Outer.Inner.CONSTANT",
    ],
)
def test_a_reference_to_something_present_is_accepted(reference: str, root: Path) -> None:
    assert problem(reference, root) is None


@pytest.mark.parametrize(
    ("reference", "reason"),
    [
        ("ocattach/absent.py", "there is no ocattach/absent.py"),
        ("ocattach/absent/", "there is no ocattach/absent/"),
        ("ocattach/absent.py:function", "there is no ocattach/absent.py"),
        ("ocattach/module.py:absent", "ocattach/module.py does not define absent"),
        ("ocattach/module.py:local", "ocattach/module.py does not define local"),
        ("ocattach/module.py:method", "ocattach/module.py does not define method"),
        ("ocattach/module.py:os", "ocattach/module.py does not define os"),
        ("ocattach/module.py:which", "ocattach/module.py does not define which"),
        ("ocattach/module.py:Outer.absent", "ocattach/module.py does not define Outer.absent"),
        ("ocattach/module.py:Outer.attribute", "ocattach/module.py does not define Outer.attribute"),
        ("ocattach/module.py:Absent.method", "ocattach/module.py does not define Absent.method"),
        ("ocattach/module.py:function.local", "ocattach/module.py does not define function.local"),
        ("ocattach/script.sh:run", "ocattach/script.sh is not a Python file"),
        ("ocattach/module.py:function()", "'ocattach/module.py:function()' is not of the form path:name"),
        (
            "ocattach/module.py:FIRST, SECOND",
            "'ocattach/module.py:FIRST, SECOND' is not of the form path:name",
        ),
    ],
)
def test_a_reference_to_something_absent_is_detected(reference: str, reason: str, root: Path) -> None:
    assert problem(reference, root) == reason
