"""What an environment says cannot drive the terminal."""

from hypothesis import given
from hypothesis import strategies as st

from ocattach.cli.terminal import escape


@given(st.text())
def test_nothing_but_printable_characters_and_line_breaks_gets_through(text: str) -> None:
    assert all(character.isprintable() or character == "\n" for character in escape(text))


def test_colours_are_left_out_and_control_characters_written_out() -> None:
    assert escape("\x1b[91mError\x1b[0m: \x07\x1b]0;title\x07") == "Error: \\x07\\x1b]0;title\\x07"
