"""`ocattach --schema`: what editors need to complete and check the files of a project."""

from pathlib import Path

import click

from ocattach import config

SCHEMA_FILE = "project.schema.json"


def print_schema(ctx: click.Context, _parameter: click.Parameter, wanted: bool) -> None:
    """Print the JSON Schema, and do nothing else."""
    if wanted:
        text = Path(config.__file__).with_name(SCHEMA_FILE).read_text(encoding="utf-8")
        click.echo(text, nl=False)
        ctx.exit()
