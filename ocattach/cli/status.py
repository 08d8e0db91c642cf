"""How the links of the connections stand."""

import os
import sys
from pathlib import Path
from typing import Any

from ocattach.cli.attach import event_line, resolve_target
from ocattach.cli.connections import describe, plain
from ocattach.cli.options import Options
from ocattach.cli.terminal import say
from ocattach.config.resolver import list_connections
from ocattach.config.spec import ConnectionSpec
from ocattach.link.client import link_status

NO_LINK = "not connected"


def status(options: Options) -> None:
    """Show the links of all connections, or of one; nothing is started or dialled."""
    rows = [(spec, link_status(spec.link_key(os.environ), os.environ)) for spec in asked_about(options)]
    if options.output == "json":
        from ocattach.cli.main import print_json  # noqa: PLC0415

        print_json({"environments": [{**describe(spec), "link": link} for spec, link in rows]})
    elif rows:
        print_table(rows)
    else:
        say("No connections yet. Save one: ocattach --save NAME docker://CONTAINER:/DIR")


def asked_about(options: Options) -> list[ConnectionSpec]:
    """The connections, as links know them."""
    if options.target is not None:
        return [resolve_target(options)]
    listing = list_connections(cwd=Path.cwd(), environ=os.environ)
    return [listed.spec.settled(os.environ) for listed in listing.connections]


def print_table(rows: list[tuple[ConnectionSpec, dict[str, Any] | None]]) -> None:
    """The links as a table, or as plain columns where nobody looks."""
    from rich.console import Console  # noqa: PLC0415 - tables only
    from rich.table import Table  # noqa: PLC0415

    table = Table(box=None, pad_edge=False, header_style="bold")
    for title in ("Name", "Target", "Link", "Daemon", "Clients", "Last event"):
        table.add_column(title, overflow="fold")
    for spec, link in rows:
        cells = (spec.name or "", spec.display(), *link_cells(link))
        table.add_row(*(plain(cell) for cell in cells))
    Console(soft_wrap=not sys.stdout.isatty()).print(table)


def link_cells(link: dict[str, Any] | None) -> tuple[str, ...]:
    """What a row says of a link: state and reason, daemon, clients, the last thing that happened."""
    if link is None or link["state"] is None:
        return NO_LINK, "", "", ""
    state = link["state"] if link["state"] == "connected" else f"{link['state']}: {link['reason']}"
    held = f", {link['held']} held" if link["held"] else ""
    last = event_line(link["history"][-1]) if link["history"] else ""
    return state, f"{link['version']} on port {link['port']}", f"{link['clients']}{held}", last
