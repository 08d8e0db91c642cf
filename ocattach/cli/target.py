"""Resolve the connection that a command was given."""

import os
from pathlib import Path

from ocattach.cli.options import Options
from ocattach.config.resolver import resolve
from ocattach.config.spec import ConnectionSpec


def resolve_target(options: Options) -> ConnectionSpec:
    """Return the named connection with the typed options applied, once its definition is trusted."""
    spec = options.applied_to(resolve(options.target or "", cwd=Path.cwd(), environ=os.environ))
    return as_used(spec, trust=options.trust)


def as_used(spec: ConnectionSpec, *, trust: bool = False) -> ConnectionSpec:
    """Return a connection with this machine's settings and directory applied, once its definition is trusted."""
    if spec.source.kind == "project":
        from ocattach.cli.approval import require_trust  # noqa: PLC0415 - warm

        require_trust(spec, trust=trust, environ=os.environ)
    return spec.pinned(os.environ).with_default_workdir(Path.cwd())
