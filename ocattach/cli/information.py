"""What the main command prints about itself, and whether as JSON."""

import json
import re
from collections.abc import Sequence

import click

from ocattach import __version__
from ocattach.cli.output import print_json

JSON_ASKED_FOR = re.compile(r"(?:^|\0)(?:-[a-z]*o\0?|--output[\0=])json(?:\0|$)")
"""Finds `-o json` in arguments joined by NUL, also in a command line that cannot be parsed."""


def is_json_asked_for(arguments: Sequence[str]) -> bool:
    """Whether `-o json` is among the arguments."""
    return JSON_ASKED_FOR.search("\0".join(arguments)) is not None


def print_schema(ctx: click.Context, _parameter: click.Parameter, wanted: bool) -> None:
    """Print the JSON Schema by which editors complete and check project files, and exit (callback of --schema)."""
    if wanted:
        from ocattach.config.schema import project_schema  # noqa: PLC0415 - every scheme

        click.echo(json.dumps(project_schema(), indent=2))
        ctx.exit()


def print_version(ctx: click.Context, _parameter: click.Parameter, wanted: bool) -> None:
    """Print the version, as JSON if `-o json` is there, too, and exit (callback of --version)."""
    if wanted:
        if is_json_asked_for(ctx.obj.words):
            print_json({"version": __version__})
        else:
            click.echo(f"{ctx.info_name} {__version__}")
        ctx.exit()
