"""Asking the user whether a definition that others wrote may be used."""

from collections.abc import Mapping

import click

from ocattach.cli.terminal import has_terminal, say
from ocattach.config.spec import ConnectionSpec
from ocattach.errors import NotTrustedError


def require_trust(spec: ConnectionSpec, *, trust: bool, environ: Mapping[str, str]) -> None:
    """Return if the connection is the user's own or approved; ask where that is possible.

    Raises NotTrustedError otherwise.
    """
    if spec.source.kind != "project":
        return
    from ocattach.config.paths import state_directory  # noqa: PLC0415 - the user's own connections need none
    from ocattach.config.trust import TrustLedger  # noqa: PLC0415

    ledger = TrustLedger(state_directory(environ))
    if ledger.is_trusted(spec):
        return
    if trust:
        ledger.trust(spec)
        return
    if not has_terminal():
        raise NotTrustedError(
            f"{spec.name} is defined by {spec.source.path}, which you have not approved",
            hint=f"Look at it, then: ocattach {spec.name} --trust",
        )
    say(f"{spec.name} is defined by {spec.source.path}, and is new or has changed:")
    for key, value in spec.to_entry().items():
        say(f"  {key}: {value}")
    say("Connecting runs opencode there, which loads the plugins and tools of that directory.")
    if not click.confirm("Use it?", default=None, err=True):
        raise NotTrustedError(f"{spec.name} was not approved")
    ledger.trust(spec)
