"""The command line: the only room that prints, prompts or exits."""

import gc
import os
import stat
import sys
from collections.abc import Sequence

COLLECT_AFTER = 50_000
"""How many new objects cause a search for cycles: loading makes many, nearly all of which stay."""


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the command line, as `ocattach.cli.main` does, which is loaded while a link starts if one is needed."""
    gc.set_threshold(COLLECT_AFTER)
    allow_owner()
    words = sys.argv[1:] if arguments is None else ()
    if words and not words[0].startswith("-"):
        from ocattach.link.client.starting import start_early  # noqa: PLC0415 - warm

        start_early(words, os.environ)
    from ocattach.cli.main import main as run  # noqa: PLC0415 - see above

    try:
        run(arguments)
    finally:
        gc.freeze()  # a last search for cycles would take as long as the interpreter's start


def allow_owner() -> None:
    """Take out of the umask what would keep this account from its own files, and links from their sockets."""
    os.umask(os.umask(stat.S_IRWXO | stat.S_IRWXG) & ~stat.S_IRWXU)
