"""What can be checked in a Markdown file: its code, its links, its tables."""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

CHECKOUT = Path(__file__).parents[2]
README = CHECKOUT / "README.md"
CONTRIBUTING = CHECKOUT / "CONTRIBUTING.md"
PAGES = (README, CONTRIBUTING, CHECKOUT / "CHANGELOG.md")

BLOCK = re.compile(
    r"(?:^<!-- (?P<mark>[^\n]+) -->\n)?^```(?P<language>\w*)\n(?P<code>.*?)^```$", re.MULTILINE | re.DOTALL
)
HEADING = re.compile(r"^## (.+)$", re.MULTILINE)
INLINE = re.compile(r"`([^`\n]+)`")
LINK = re.compile(r"\]\(([^)\s]+)\)")


@dataclass(frozen=True, slots=True)
class Block:
    """A block of code."""

    section: str
    """The heading of the second level above it."""

    language: str
    code: str
    mark: str
    """What a comment right above it says of running it."""

    @property
    def rig(self) -> str:
        """Where it can be run as it stands: "docker" in `<!-- run: docker, in a terminal -->`; empty for nowhere."""
        return self.mark.removeprefix("run: ").partition(",")[0] if self.mark.startswith("run: ") else ""

    @property
    def needs_terminal(self) -> bool:
        """Whether it opens the TUI."""
        return self.mark.endswith(", in a terminal")


def blocks(page: Path) -> Iterator[Block]:
    """Every block of code, in order."""
    text = page.read_text()
    for found in BLOCK.finditer(text):
        headings = HEADING.findall(text, 0, found.start())
        yield Block(headings[-1] if headings else "", found["language"], found["code"], found["mark"] or "")


def inline_code(page: Path) -> list[str]:
    """Every piece of code within a sentence or a table."""
    return INLINE.findall(BLOCK.sub("", page.read_text()))


def commands(page: Path) -> Iterator[str]:
    """Every command that a page names, in blocks and in sentences."""
    yield from inline_code(page)
    for block in blocks(page):
        if block.language == "sh":
            yield from block.code.splitlines()


def links(page: Path) -> list[str]:
    """Where the page's links lead."""
    return LINK.findall(page.read_text())


def table_rows(page: Path, heading: str) -> Iterator[list[str]]:
    """The cells of the rows below the heading's first table's head."""
    section = page.read_text().partition(f"\n## {heading}\n")[2].partition("\n## ")[0]
    rows = [line for line in section.splitlines() if line.startswith("|")]
    for row in rows[2:]:
        yield [cell.strip() for cell in row.strip("|").split("|")]
