"""Resolve the connection that a command was given."""

import os
from pathlib import Path

from ocattach.cli.options import Options
from ocattach.config.resolver import resolve
from ocattach.config.spec import ConnectionSpec


def resolve_target(options: Options) -> ConnectionSpec:
    """Return the named connection with the typed options applied, once its definition is trusted."""
    spec = options.applied_to(resolve(options.target or "", cwd=Path.cwd(), environ=os.environ))
    if spec.source.kind == "project":
        from ocattach.cli.approval import require_trust  # noqa: PLC0415 - warm

        require_trust(spec, trust=options.trust, environ=os.environ)
    return spec.pinned(os.environ).with_default_workdir(Path.cwd())
