"""Output of commands: JSON documents, reports, and the JSON of connections and of problems in files."""

import json
from collections.abc import Iterable
from typing import Any

import click

from ocattach.cli.terminal import say, say_error
from ocattach.config.files.safe import Problem
from ocattach.config.spec import ConnectionSpec

SCHEMA = 1
"""Version of the JSON documents, in their key `schema`."""


def print_json(document: dict[str, Any]) -> None:
    """Print the JSON document of a command. Called once per run."""
    click.echo(json.dumps({"schema": SCHEMA, **document}, indent=2))


def report(text: str, document: dict[str, Any], *, output: str, quiet: bool = False) -> None:
    """Report the result of a command: as text on stderr, or as the JSON document where `output` is "json"."""
    if output == "json":
        print_json(document)
    elif not quiet:
        say(text)


def say_problems(problems: Iterable[Problem]) -> None:
    """Print which files could not be used, with hints."""
    for problem in problems:
        say_error(problem.error, colour="yellow")


def source(spec: ConnectionSpec, file: str = "") -> str:
    """Where a connection is defined, as text; `file` replaces the path if given."""
    return "user" if spec.source.kind == "user" else f"{spec.source.kind}: {file or spec.source.path}"


def connection_json(spec: ConnectionSpec) -> dict[str, Any]:
    """A connection as JSON."""
    path = None if spec.source.path is None else str(spec.source.path)
    return {
        "name": spec.name,
        "uri": spec.display(),
        "workdir": spec.workdir,
        "source": {"kind": spec.source.kind, "path": path},
    }


def problem_json(problem: Problem) -> dict[str, Any]:
    """A file or entry that could not be used, as JSON."""
    return {"name": problem.name, **problem.error.to_json()}
