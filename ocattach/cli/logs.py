"""`ocattach logs NAME`: what a link did, and when."""

import os
import time
from collections.abc import Iterator
from pathlib import Path
from typing import IO

import click

from ocattach.cli.command import Command
from ocattach.cli.terminal import say
from ocattach.config.resolver import resolve
from ocattach.errors import OcattachError
from ocattach.link.files import link_files
from ocattach.link.log import former
from ocattach.printable import printable

LOOK_SECONDS = 0.25


EXAMPLES = """
ocattach logs frontend     what its link did, and when
ocattach logs frontend -f  the same, and what comes
"""


@click.command(
    cls=Command,
    help="Show what the link of NAME did: connected, lost (why), held, restored.",
    examples=EXAMPLES,
)
@click.argument("name", metavar="NAME|URI")
@click.option("-f", "--follow", is_flag=True, help="Go on showing what comes.")
def logs(name: str, *, follow: bool) -> None:
    """Print the link's log, from its former file on."""
    spec = resolve(name, cwd=Path.cwd(), environ=os.environ).settled(os.environ)
    if not spec.target.needs_link:
        raise OcattachError(f"{spec.display()} is reached without a link, which alone keeps a log")
    path = link_files(spec.with_default_workdir(Path.cwd()).link_key(os.environ), os.environ).log
    if not path.exists() and not follow:
        raise OcattachError(
            f"There is no log of a link to {spec.display()} yet", hint=f"Connect once: ocattach {name}"
        )
    say(f"Log of the link: {path}")
    if former(path).exists():
        click.echo(printable(former(path).read_text(errors="replace")), nl=False)
    for text in following(path) if follow else [path.read_text(errors="replace")]:
        click.echo(printable(text), nl=False)


def following(path: Path) -> Iterator[str]:
    """The log's text as it grows, also over its files' changes; for ever."""
    file: IO[str] | None = None
    while True:
        if file is not None and (text := file.read()):
            yield text
        elif is_current(file, path):
            time.sleep(LOOK_SECONDS)
        else:
            if file is not None:
                file.close()
            file = path.open(errors="replace") if path.exists() else None


def is_current(file: IO[str] | None, path: Path) -> bool:
    """Whether an open file is still the one of that name, or there is none of both."""
    if file is None:
        return not path.exists()
    try:
        return os.path.samestat(os.fstat(file.fileno()), path.stat())
    except FileNotFoundError:  # it is just being replaced
        return True
