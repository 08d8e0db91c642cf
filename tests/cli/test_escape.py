"""What an environment says cannot drive the terminal."""

import os
import sys

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ocattach.cli.columns import cut, isolated, width
from ocattach.cli.terminal import escape, set_title
from ocattach.printable import KEPT
from tests.rigs.printed import is_printable

FAMILY = "\N{MAN}\u200d\N{WOMAN}\u200d\N{GIRL}"
PERSIAN = "\u0645\u06cc\u200c\u062e\u0648\u0627\u0647\u0645"
JOINERS = "\u200c\u200d"


HIDDEN = "\x1b\x07\x9b\u200b\u200e\u200f\u202a\u202e\u2066\u2069\ufeff\u00ad\U000e0041"


@given(st.text(st.characters() | st.sampled_from(HIDDEN + JOINERS)))
def test_nothing_but_what_can_be_seen_gets_through(text: str) -> None:
    shown = escape(text)

    assert is_printable(shown)
    assert all(character.isprintable() or character in KEPT for character in shown)
    assert not set(HIDDEN) & set(shown)


@pytest.mark.parametrize(
    ("kind", "sent"), [("xterm", b"\x1b]0;front\\x1b]0;end\\x07 - OpenCode\x07"), ("dumb", b""), ("", b"")]
)
def test_a_title_is_escaped_and_only_set_where_there_is_one(
    kind: str, sent: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    ours, theirs = os.openpty()
    monkeypatch.setenv("TERM", kind)
    with open(theirs, "w") as stdout:  # noqa: PTH123 - a descriptor
        monkeypatch.setattr(sys, "stdout", stdout)
        set_title("front\x1b]0;end\x07 - OpenCode")
        stdout.write("!")
    with open(ours, "rb", buffering=0) as screen:  # noqa: PTH123 - a descriptor
        assert screen.read(100) == sent + b"!"


def test_colours_are_left_out_and_control_characters_written_out() -> None:
    assert escape("\x1b[91mError\x1b[0m: \x07\x1b]0;title\x07") == "Error: \\x07\\x1b]0;title\\x07"


@pytest.mark.parametrize(
    "text", [FAMILY, PERSIAN, "Fin\u00a0: 100\u202f%", "\u5168\u3000\u90e8", f"a {FAMILY} b"]
)
def test_what_a_script_needs_is_shown(text: str) -> None:
    assert escape(text) == text


@pytest.mark.parametrize(
    "text",
    [
        "pass\u200dword",
        "\u200d",
        f"{PERSIAN}\u200c",
        "\u202e\u200d\u0645",
        "\u0645\u200c\u200c\u0645",
        "a\u200b",
    ],
)
def test_what_only_hides_is_written_out(text: str) -> None:
    assert "\\x200" in escape(text)


@pytest.mark.parametrize(
    "character", [*"\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069\u200e\u200f\u061c"]
)
def test_a_change_of_direction_is_written_out(character: str) -> None:
    assert escape(f"{PERSIAN}{character}{PERSIAN}") == f"{PERSIAN}\\x{ord(character):02x}{PERSIAN}"


def test_a_title_from_right_to_left_keeps_to_its_cell() -> None:
    assert isolated(PERSIAN) == f"\u2068{PERSIAN}\u2069"
    assert width(isolated(PERSIAN)) == width(PERSIAN) == len(PERSIAN) - 1
    assert isolated("left to right") == "left to right"


@pytest.mark.parametrize("columns", range(1, 9))
def test_a_joined_emoji_is_cut_as_a_whole(columns: int) -> None:
    shown = cut(f"ab{FAMILY}{FAMILY}cd", columns)

    assert width(shown) <= columns
    assert "\u200d…" not in shown
    assert shown.count(FAMILY) == max(0, min(2, (columns - 3) // 2)) or columns >= 8
