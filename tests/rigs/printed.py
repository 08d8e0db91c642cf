"""What may be shown on a terminal."""

from ocattach.printable import printable


def is_printable(text: str) -> bool:
    """Whether a text can be shown as it is."""
    return printable(text) == text
