"""Makes text that came from outside safe to show on a terminal, and to paste into a shell."""

import re
import shlex

WITHIN_WORDS = "(?<=[^\0-\x7f\u200c\u200d])[\u200c\u200d](?=[^\0-\x7f\u200c\u200d])"
"""Joiners that emoji and scripts such as Persian need. Beside ASCII letters they could only hide something."""

JOINERS = re.compile(WITHIN_WORDS)
EACH_JOINER = re.compile(f"({WITHIN_WORDS})|[\u200c\u200d]")

KEPT = "\n\u200c\u200d\u00a0\u2002\u2003\u2007\u2009\u202f\u3000"
"""Characters that str.isprintable() excludes: French has some of the spaces before colons, Japanese between words."""


def printable(text: str) -> str:
    """The text with every control character but line breaks written out: it cannot drive a terminal.

    So are characters that change the direction of text, and invisible ones, except joiners within words.
    """
    if text.isprintable():
        return text
    shown = "".join(
        character if character.isprintable() or character in KEPT else written_out(character)
        for character in text
    )
    return EACH_JOINER.sub(lambda found: found[1] or written_out(found[0]), shown)


def written_out(character: str) -> str:
    """The character as its code."""
    return f"\\x{ord(character):02x}"


def command_line(*words: object) -> str:
    """Return the command that a message or hint shows, with its words quoted for POSIX shells and fish.

    Every command with a word from outside is made here: a name, a path or a URL may contain anything. Backslashes are
    in double quotes: in single quotes, fish reads two of them as one.
    """
    return " ".join(shlex.quote(str(word)).replace("\\", "'\"\\\\\"'") for word in words)
