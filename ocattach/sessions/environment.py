"""The id of an environment, and the name of a connection as the origin of sessions."""

from collections.abc import Mapping
from dataclasses import replace

from ocattach.config.spec import ConnectionSpec

ORIGIN_VARIABLE = "OCATTACH_ORIGIN"
"""The variable that holds the origin in the environment of a daemon that ocattach has started."""


def environment_id(spec: ConnectionSpec, environ: Mapping[str, str]) -> str:
    """Return the id of an environment in sessions and in the index: 16 hexadecimal digits.

    It does not depend on the name and the directory, so that a connection that is renamed keeps its history. The
    connection must be settled, because two engines could have the same id otherwise.
    """
    return spec.link_key(environ)


def origin_name(spec: ConnectionSpec) -> str:
    """Return the name of a connection as an origin: without a name its URI, such as docker://web, or local."""
    return spec.name or replace(spec, workdir=None).display().removesuffix("://")
