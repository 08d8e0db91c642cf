"""Completers of parameters. Their code is in `commands.completion`, which is imported when Tab is pressed."""

from collections.abc import Callable
from importlib import import_module
from typing import TYPE_CHECKING

import click

if TYPE_CHECKING:
    from click.shell_completion import CompletionItem

Completer = Callable[[click.Context, click.Parameter, str], "list[CompletionItem]"]


def completer(function: str) -> Completer:
    """A completer for click's `shell_complete` that calls a function of `commands.completion`."""

    def complete(
        _context: click.Context, _parameter: click.Parameter, incomplete: str
    ) -> "list[CompletionItem]":
        names = getattr(import_module("ocattach.cli.commands.completion"), function)()
        return [
            click.shell_completion.CompletionItem(name, help=text)
            for name, text in sorted(names.items())
            if name.startswith(incomplete)
        ]

    return complete


connection_names = completer("connection_names")
saved_names = completer("saved_names")
session_ids = completer("session_ids")


def names_or_ids(
    context: click.Context, parameter: click.Parameter, incomplete: str
) -> "list[CompletionItem]":
    """Names of connections, and where an id is begun, ids of sessions."""
    is_id = incomplete[:1] == "s" and "ses_".startswith(incomplete[:4])
    ids = session_ids(context, parameter, incomplete) if is_id else []
    return [*connection_names(context, parameter, incomplete), *ids]
