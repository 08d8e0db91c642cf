"""`ocattach` without a name on a terminal: the default, or a choice, the most recently used connection first."""

import os

from ocattach.cli.amounts import ago
from ocattach.cli.output import source
from ocattach.cli.picker import Choice, pick
from ocattach.cli.terminal import escape
from ocattach.config.default import find_default
from ocattach.config.resolver import ListedConnection, list_connections
from ocattach.config.variables import working_directory


def default_or_pick() -> str | None:
    """Return the default, else show the connections and return the chosen name; None if there are none.

    Raises ConfigurationError for a default that does not name a connection, and InterruptedByUserError if the user
    quits.
    """
    cwd = working_directory()
    listing = list_connections(cwd=cwd, environ=os.environ)
    default = find_default(listing, cwd=cwd, environ=os.environ)
    if default is not None and not default.is_hidden:
        return default.name
    if not listing.connections:
        return None
    first = default.name if default else None
    ordered = sorted(
        listing.connections,
        key=lambda each: (each.spec.name != first, -(each.last_used or 0), each.spec.name or ""),
    )
    return pick([choice(each) for each in ordered], "Attach to")


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
