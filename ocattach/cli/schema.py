"""`ocattach --schema`: the JSON Schema by which editors complete and check project files."""

import json

import click


def print_schema(ctx: click.Context, _parameter: click.Parameter, wanted: bool) -> None:
    """Print the JSON Schema and exit (callback of the option)."""
    if wanted:
        from ocattach.config.schema import project_schema  # noqa: PLC0415 - every scheme

        click.echo(json.dumps(project_schema(), indent=2))
        ctx.exit()
