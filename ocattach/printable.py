"""Makes text that came from outside safe to show on a terminal, and to paste into a shell."""

import re
import shlex

JOINERS = re.compile("(?<=[^\0-\x7f])[\u200c\u200d](?=[^\0-\x7f\u200c\u200d])")
"""Joiners that emoji and scripts such as Persian need. Beside ASCII letters they could only hide something."""

SPACES = "\u00a0\u2002\u2003\u2007\u2009\u202f\u3000"
"""Spaces that str.isprintable() excludes: French has them before colons, Japanese between words."""


def printable(text: str) -> str:
    """The text with every control character but line breaks written out: it cannot drive a terminal.

    So are characters that change the direction of text, and invisible ones, except joiners within words.
    """
    if text.isprintable():
        return text
    joiners = {found.start() for found in JOINERS.finditer(text)}
    return "".join(
        character
        if character.isprintable() or character == "\n" or character in SPACES or at in joiners
        else f"\\x{ord(character):02x}"
        for at, character in enumerate(text)
    )


def command_line(*words: object) -> str:
    """Return the command that a message or hint shows, with its words quoted for POSIX shells and fish.

    Every command with a word from outside is made here: a name, a path or a URL may contain anything. Backslashes are
    in double quotes: in single quotes, fish reads two of them as one.
    """
    return " ".join(shlex.quote(str(word)).replace("\\", "'\"\\\\\"'") for word in words)
