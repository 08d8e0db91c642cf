"""docs/transports.md, "If you work with …": short, and each claim with a test that exists."""

import re

import pytest

from tests.docs.markdown import CHECKOUT, LINK, section

PAGE = CHECKOUT / "docs/transports.md"
ITEMS = re.findall(r"^- \*\*(.+?)\*\*.*?: (.+)$", section(PAGE, "If you work with …"), re.MULTILINE)
PLACES = {
    *("tmux", "systemd", "compose", "toolbox", "dev containers", "Rancher", "OpenShift", "WSL", "macOS")
}


def test_it_has_the_places_where_people_work() -> None:
    assert {place for place in PLACES if any(place in title for title, _ in ITEMS)} == PLACES


@pytest.mark.parametrize(("title", "text"), ITEMS, ids=[title for title, _ in ITEMS])
def test_each_sentence_names_a_test_that_exists(title: str, text: str) -> None:
    sentences = re.split(r"(?<=[.)]\.) |(?<=\w\.) (?=[A-Z])", text)

    assert len(sentences) <= 2, title
    for sentence in sentences:
        named = LINK.findall(sentence)
        assert named, sentence
        for file, test in named:
            code = (PAGE.parent / file).read_text()
            assert f"\ndef {test}(" in code, f"{file}::{test}"


def test_what_was_never_run_says_so() -> None:
    workflow = (CHECKOUT / ".github/workflows/ci.yml").read_text()

    assert re.search(r"  macos:\n    # .* has never been run", workflow)
    assert re.search(r"^- macOS: .*never been run", (CHECKOUT / "README.md").read_text(), re.MULTILINE)
