"""Text that came from an environment, made safe to be shown."""


def printable(text: str) -> str:
    """The text with every control character but line breaks written out: it cannot drive a terminal."""
    return "".join(
        character if character.isprintable() or character == "\n" else f"\\x{ord(character):02x}"
        for character in text
    )
