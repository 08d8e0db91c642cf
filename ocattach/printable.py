"""Makes text that came from outside safe to show on a terminal, and to paste into a shell."""

import shlex


def printable(text: str) -> str:
    """The text with every control character but line breaks written out: it cannot drive a terminal."""
    return "".join(
        character if character.isprintable() or character == "\n" else f"\\x{ord(character):02x}"
        for character in text
    )


def command_line(*words: object) -> str:
    """Return the command that a message or hint shows, with its words quoted for POSIX shells and fish.

    Every command with a word from outside is made here: a name, a path or a URL may contain anything. Backslashes are
    in double quotes: in single quotes, fish reads two of them as one.
    """
    return " ".join(shlex.quote(str(word)).replace("\\", "'\"\\\\\"'") for word in words)
