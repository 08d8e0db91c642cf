"""`ocattach` without arguments on a terminal: choose a connection, the most recently used first."""

import os
from pathlib import Path

from ocattach.cli.amounts import ago
from ocattach.cli.output import source
from ocattach.cli.picker import Choice
from ocattach.cli.picker import pick as pick_choice
from ocattach.cli.terminal import escape
from ocattach.config.resolver import ListedConnection, list_connections


def pick() -> str | None:
    """Show the connections and return the chosen name; None if there are none.

    Raises InterruptedByUserError if the user quits.
    """
    listed = list_connections(cwd=Path.cwd(), environ=os.environ).connections
    if not listed:
        return None
    ordered = sorted(listed, key=lambda each: (-(each.last_used or 0), each.spec.name or ""))
    return pick_choice([choice(each) for each in ordered], "Attach to")


def choice(listed: ListedConnection) -> Choice:
    """A connection to choose: name, URI, last use and source; it is searched by its description, too."""
    spec = listed.spec
    texts = (
        spec.name or "",
        spec.place(),
        ago(listed.last_used),
        "" if spec.source.kind == "user" else source(spec),
    )
    text = f"{spec.name} {spec.place()} {spec.description}"
    return Choice(spec.name or "", tuple(map(escape, texts)), text)
