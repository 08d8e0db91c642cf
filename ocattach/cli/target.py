"""Resolve the connection that a command was given."""

import os
from collections.abc import Callable
from typing import Any

import click

from ocattach.cli.command import Decorated
from ocattach.cli.complete import Completer, connection_names
from ocattach.cli.options import Options
from ocattach.config.files.paths import config_directory
from ocattach.config.resolver import last_connection, resolve
from ocattach.config.settings import load_settings
from ocattach.config.spec import ConnectionSpec
from ocattach.config.variables import working_directory

LAST = "-"
"""Stands for the connection that was used last."""


def connection_argument(
    name: str, metavar: str, *, completer: Completer = connection_names, **settings: Any
) -> Callable[[Decorated], Decorated]:
    """An argument for names of connections, which are completed; `-` is that of the last connection."""
    return click.argument(name, metavar=metavar, shell_complete=completer, callback=named_by_dash, **settings)


def named_by_dash(_context: click.Context, _parameter: click.Parameter, value: Any) -> Any:
    """Replace `-` in an argument or option of a command (callback of click)."""
    if isinstance(value, tuple):
        return tuple(map(last_named, value))
    return last_named(value) if isinstance(value, str) else value


def last_named(name: str) -> str:
    """The name, or for `-` that of the last connection. Raises ConnectionNotFoundError if none was used."""
    return last_connection(cwd=working_directory(), environ=os.environ) if name == LAST else name


def resolve_target(options: Options) -> ConnectionSpec:
    """Return the named connection with the typed options applied, once its definition is trusted."""
    spec = options.applied_to(resolve(options.target or "", cwd=working_directory(), environ=os.environ))
    return as_used(spec, trust=options.trust)


def named_connection(name: str, *, trust: bool = False) -> ConnectionSpec:
    """Return the connection of a name or URI, as `as_used` does."""
    return as_used(resolve(name, cwd=working_directory(), environ=os.environ), trust=trust)


def as_used(spec: ConnectionSpec, *, trust: bool = False) -> ConnectionSpec:
    """Return a connection with this machine's settings and directory applied, once its definition is trusted."""
    if spec.source.kind == "project":
        from ocattach.cli.approval import require_trust  # noqa: PLC0415 - warm

        require_trust(spec, trust=trust, environ=os.environ)
    return spec.pinned(os.environ).with_default_workdir(working_directory())


def connect_seconds() -> float:
    """Return how long connecting may take, by the user's settings."""
    return load_settings(config_directory(os.environ)).connect_timeout_seconds
