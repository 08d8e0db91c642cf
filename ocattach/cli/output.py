"""What the commands print: JSON documents, reports, and how a connection and a file's problem are described."""

import json
from collections.abc import Iterable
from typing import Any

import click

from ocattach.cli.terminal import say
from ocattach.config.files.safe import Problem
from ocattach.config.resolver import ListedConnection
from ocattach.config.spec import ConnectionSpec

SCHEMA = 1
"""Version of every JSON shape we print."""


def print_json(document: dict[str, Any]) -> None:
    """Print the one JSON document of this run."""
    click.echo(json.dumps({"schema": SCHEMA, **document}, indent=2))


def report(text: str, document: dict[str, Any], *, output: str, quiet: bool = False) -> None:
    """Report the result of a command: as text on stderr, or as the JSON document where `output` is "json"."""
    if output == "json":
        print_json(document)
    elif not quiet:
        say(text)


def say_problems(problems: Iterable[Problem]) -> None:
    """Tell people which files could not be read."""
    for problem in problems:
        say(f"ocattach: {problem.error.message}", colour="yellow")
        if problem.error.hint:
            say(f"  {problem.error.hint}")


def source(spec: ConnectionSpec, file: str = "") -> str:
    """Where a connection was defined, as people read it; the file by another name, if given."""
    return "user" if spec.source.kind == "user" else f"{spec.source.kind}: {file or spec.source.path}"


def describe(spec: ConnectionSpec) -> dict[str, Any]:
    """A connection for scripts."""
    path = None if spec.source.path is None else str(spec.source.path)
    return {
        "name": spec.name,
        "uri": spec.display(),
        "workdir": spec.workdir,
        "source": {"kind": spec.source.kind, "path": path},
    }


def describe_listed(listed: ListedConnection) -> dict[str, Any]:
    """A listed connection for scripts."""
    return {
        **describe(listed.spec),
        "hides": [describe(hidden) for hidden in listed.hides],
        "last_used": listed.last_used,
    }


def describe_problem(problem: Problem) -> dict[str, Any]:
    """A file that could not be read, for scripts."""
    return {"name": problem.name, "message": problem.error.message, "hint": problem.error.hint}
