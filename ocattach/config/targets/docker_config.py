"""What the docker command line has written down about engines: the current context, and where each one leads.

Read as the command line itself does (docker/cli: cli/command/cli.go `resolveContextName`, cli/context/store),
without its SDK, because a warm link is on this way too.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from ocattach.config.files.entry import as_table, table, text
from ocattach.errors import ConfigurationError

DEFAULT_HOST = "unix:///var/run/docker.sock"
DEFAULT_CONTEXT = "default"
"""The context that is written down nowhere: DOCKER_HOST, or else the default socket."""


@dataclass(frozen=True, slots=True)
class DockerContext:
    """Where a context leads."""

    host: str
    cert_path: str | None
    """Folder with ca.pem, cert.pem and key.pem; None when the context has none."""

    skips_verification: bool


def docker_directory(environ: Mapping[str, str]) -> Path:
    """The folder of the command line's configuration."""
    named = environ.get("DOCKER_CONFIG")
    return Path(named) if named else Path(environ.get("HOME") or Path.home()) / ".docker"


def current_context(environ: Mapping[str, str]) -> str | None:
    """The context that `docker context use` has chosen; None without one.

    Raises ConfigurationError when the file is there and cannot be read.
    """
    return text(read_object(docker_directory(environ) / "config.json"), "currentContext") or None


def read_context(name: str, environ: Mapping[str, str]) -> DockerContext | None:
    """A context by its name; None when there is none. Raises ConfigurationError for one that cannot be read."""
    from hashlib import sha256  # noqa: PLC0415 - slow to import, and only for contexts

    identifier = sha256(name.encode()).hexdigest()
    folder = docker_directory(environ) / "contexts"
    path = folder / "meta" / identifier / "meta.json"
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
    """The folder of certificates by which DOCKER_HOST is to be reached; None where TLS is not asked for.

    DOCKER_TLS asks docker for TLS without verification. Here it is verified all the same: whoever stood between
    would read the daemon's password.
    """
    if not (environ.get("DOCKER_TLS_VERIFY") or environ.get("DOCKER_TLS")):
        return None
    return environ.get("DOCKER_CERT_PATH") or str(docker_directory(environ))


def read_object(path: Path) -> Mapping[str, object]:
    """A file that holds one JSON object; an empty one where there is no file."""
    try:
        return as_table(json.loads(path.read_bytes()), str(path))
    except (FileNotFoundError, NotADirectoryError):
        return {}
    except (OSError, ValueError) as error:
        raise ConfigurationError(
            f"Docker's own configuration {path} cannot be read: {error}", hint="Try: docker context ls"
        ) from error
