"""The contexts in the configuration of the docker command line, and the current one.

Read as in docker/cli (cli/command/cli.go `resolveContextName`, cli/context/store), without the SDK, since every warm
start reads them.
"""

import re
from collections.abc import Mapping
from hashlib import sha256
from pathlib import Path
from typing import NamedTuple

from ocattach.config.files.entry import table, text
from ocattach.config.files.foreign import naming, read_object
from ocattach.errors import UsageError

CONTEXT_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.+-]+")
"""As in docker/cli (cli/context/store, restrictedNamePattern)."""

HINT = "Try: docker context ls"

DEFAULT_HOST = "unix:///var/run/docker.sock"
DEFAULT_CONTEXT = "default"
"""The context that has no file: DOCKER_HOST, else the default socket."""


class DockerContext(NamedTuple):
    """The engine of a context."""

    host: str
    cert_path: str | None
    """Directory with ca.pem, cert.pem and key.pem; None if the context has none."""

    skips_verification: bool


def docker_directory(environ: Mapping[str, str]) -> Path:
    """The configuration directory of the docker command line."""
    named = environ.get("DOCKER_CONFIG")
    return Path(named) if named else Path(environ.get("HOME") or Path.home()) / ".docker"


def current_context(environ: Mapping[str, str]) -> str | None:
    """The context selected by `docker context use`; None without one.

    Raises ConfigurationError for a file that cannot be used.
    """
    path = docker_directory(environ) / "config.json"
    with naming("Docker", path, hint=HINT):
        context = text(read_object(path), "currentContext") or None
        if context is not None and not CONTEXT_NAME.fullmatch(context):
            raise UsageError("currentContext is not the name of a context")
        return context


def read_context(name: str, environ: Mapping[str, str]) -> DockerContext | None:
    """A context by its name; None if it does not exist. Raises ConfigurationError for a file that cannot be used."""
    identifier = sha256(name.encode()).hexdigest()
    folder = docker_directory(environ) / "contexts"
    path = folder / "meta" / identifier / "meta.json"
    with naming("Docker", path, hint=HINT):
        endpoint = table(table(read_object(path), "Endpoints") or {}, "docker")
        if endpoint is None:
            return None
        certificates = folder / "tls" / identifier / "docker"
        return DockerContext(
            host=text(endpoint, "Host") or DEFAULT_HOST,
            cert_path=str(certificates) if certificates.is_dir() else None,
            skips_verification=endpoint.get("SkipTLSVerify") is True,
        )


def certificate_path(environ: Mapping[str, str]) -> str | None:
    """The directory of certificates for DOCKER_HOST; None if TLS is not enabled.

    In docker, DOCKER_TLS enables TLS without verification. Here certificates are verified in any case, since a
    man-in-the-middle would read the daemon's password.
    """
    if not (environ.get("DOCKER_TLS_VERIFY") or environ.get("DOCKER_TLS")):
        return None
    return environ.get("DOCKER_CERT_PATH") or str(docker_directory(environ))
