"""A short command line that reads the command to run from its input.

Whatever is between this machine and an environment limits the length of a command line: dropbear to 9,000 bytes, an API
server behind nginx to 8 KiB with the rest of the URL. Scripts are longer.
"""

import shlex
import string
from collections.abc import Sequence

from ocattach.daemon.script import ODD_VARIABLES
from ocattach.errors import ConnectionLostError
from ocattach.execution import Stream

SCRIPT = 'IFS= read -r script; eval "$(printf %b "$script")"'
"""Runs the first line of the input, as `loader_input` writes it. `read` does not read beyond that line (POSIX)."""

LOADER = ("sh", "-c", SCRIPT)
"""The command that is run in place of every other."""

PLAIN = set(f"{string.ascii_letters}{string.digits} ./:=_-,@+")


def loader_input(argv: Sequence[str], *, has_more: bool = True, before: str = "") -> bytes:
    """Return the first line of LOADER's input, which runs the argv with the rest of the input, if there is more.

    `before` is shell text that runs first. A command with ODD_VARIABLES in it gets what this shell would not pass on.
    """
    if any(ODD_VARIABLES in word for word in argv):
        before += f"unset OCATTACH_ODD\n{ODD_VARIABLES}"  # not what the environment has under that name
    command = shlex.join(argv) if has_more else f"{shlex.join(argv)} </dev/null"
    return f"{hidden(f'{before}exec {command}')}\n".encode()


def hidden(text: str) -> str:
    """Return shell text in the form that `printf %b` shows, of characters that no shell treats specially in quotes."""
    return "".join(
        character
        if character in PLAIN
        else "".join(f"\\0{byte:03o}" for byte in character.encode(errors="surrogateescape"))
        for character in text
    )


def started(stream: Stream, argv: Sequence[str], place: str) -> Stream:
    """Return the stream of a LOADER after it was given its command. Raises ConnectionLostError."""
    try:
        stream.socket.sendall(loader_input(argv))
    except OSError as error:
        stream.close()
        raise ConnectionLostError(f"The connection to {place} ended as a command was started") from error
    return stream
