"""What can be checked in a Markdown file: its code, its links, its tables."""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

CHECKOUT = Path(__file__).parents[2]
README = CHECKOUT / "README.md"
COMMANDS = CHECKOUT / "docs/commands.md"
SETTINGS = CHECKOUT / "docs/settings.md"
SECURITY = CHECKOUT / "SECURITY.md"
CONTRIBUTING = CHECKOUT / "CONTRIBUTING.md"
PAGES = (
    README,
    CONTRIBUTING,
    CHECKOUT / "CHANGELOG.md",
    SECURITY,
    *sorted((CHECKOUT / "docs").glob("*.md")),
)

BLOCK = re.compile(
    r"(?:^<!-- (?P<mark>[^\n]+) -->\n)?^```(?P<language>\w*)\n(?P<code>.*?)^```$", re.MULTILINE | re.DOTALL
)
HEADING = re.compile(r"^## (.+)$", re.MULTILINE)
INLINE = re.compile(r"`([^`\n]+)`")
LINK = re.compile(r"\]\(([^)\s]+)(?: \"([^\"]*)\")?\)")
POINT = re.compile(r"^\d+\. ", re.MULTILINE)


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

    @property
    def exit_code(self) -> int:
        """What it ends with: 6 in `<!-- run: docker, exits with 6 -->`."""
        _, exits, code = self.mark.partition(", exits with ")
        return int(code) if exits else 0


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
    return [link for link, _ in LINK.findall(page.read_text())]


def anchors(page: Path) -> set[str]:
    """The names by which links lead to the page's headings."""
    headings = re.findall(r"^#+ (.+)$", page.read_text(), re.MULTILINE)
    return {re.sub(r"[^\w -]", "", heading).lower().replace(" ", "-") for heading in headings}


def points(page: Path, heading: str) -> list[list[tuple[str, str]]]:
    """Of each numbered point below the heading, its links and their titles."""
    return [LINK.findall(point) for point in POINT.split(section(page, heading))[1:]]


def section(page: Path, heading: str) -> str:
    """What stands below a heading of the second level."""
    return page.read_text().partition(f"\n## {heading}\n")[2].partition("\n## ")[0]


def table_rows(page: Path, heading: str) -> Iterator[list[str]]:
    """The cells of the rows below the heading's first table's head."""
    rows = [line for line in section(page, heading).splitlines() if line.startswith("|")]
    for row in rows[2:]:
        yield [cell.strip() for cell in row.strip("|").split("|")]
