"""A connection that environments are asked by."""

from dataclasses import dataclass

from ocattach.config.spec import ConnectionSpec
from ocattach.errors import NotTrustedError


@dataclass(frozen=True, slots=True)
class Entry:
    """A connection that is asked about."""

    spec: ConnectionSpec
    """As links know it: pinned, with its directory."""

    refusal: NotTrustedError | None = None
    """Why nobody may be asked."""
