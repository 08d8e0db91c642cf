"""The command line: the only room that prints, prompts or exits."""

import os
import sys
from collections.abc import Sequence


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the command line, as `ocattach.cli.main` does, which is loaded while a link starts if one is needed."""
    words = sys.argv[1:] if arguments is None else ()
    if words and not words[0].startswith("-"):
        from ocattach.link.client.starting import start_early  # noqa: PLC0415 - warm

        start_early(words, os.environ)
    from ocattach.cli.main import main as run  # noqa: PLC0415 - see above

    run(arguments)
