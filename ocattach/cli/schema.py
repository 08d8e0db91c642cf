"""`ocattach --schema`: what editors need to complete and check the files of a project."""

import json

import click


def print_schema(ctx: click.Context, _parameter: click.Parameter, wanted: bool) -> None:
    """Print the JSON Schema, and do nothing else."""
    if wanted:
        from ocattach.config.schema import project_schema  # noqa: PLC0415 - imports every target

        click.echo(json.dumps(project_schema(), indent=2))
        ctx.exit()
