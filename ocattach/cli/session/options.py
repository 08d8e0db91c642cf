"""Options shared by several session commands."""

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
        help="Only sessions created through this connection; repeatable.",
    )
    return option(function)
