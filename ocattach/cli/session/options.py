"""Options that several commands about sessions have."""

from collections.abc import Callable
from typing import Any, TypeVar

import click

from ocattach.cli.complete import connection_names

Decorated = TypeVar("Decorated", bound=Callable[..., Any])


def origin_option(function: Decorated) -> Decorated:
    """Add `--origin NAME`, as `origins`."""
    option = click.option(
        "--origin",
        "origins",
        multiple=True,
        metavar="NAME",
        shell_complete=connection_names,
        help="Those that began under this name; repeatable.",
    )
    return option(function)
