"""Variables of the environment that name files, and paths that are typed, made independent of the working directory.

A link runs in `/`, and other commands may be run from anywhere.
"""

import os
from collections.abc import Mapping
from pathlib import Path

from ocattach.errors import UsageError

FILES = (
    "SSH_AUTH_SOCK", "SSH_ASKPASS", "DOCKER_CONFIG", "DOCKER_CERT_PATH",
    "CONTAINERS_CONF", "CONTAINERS_CONF_OVERRIDE", "PODMAN_CONNECTIONS_CONF", "CONTAINER_SSHKEY",
    "CONTAINER_TLS_CA", "CONTAINER_TLS_CERT", "CONTAINER_TLS_KEY", "REGISTRY_AUTH_FILE",
    "AWS_CONFIG_FILE", "AWS_SHARED_CREDENTIALS_FILE", "AWS_WEB_IDENTITY_TOKEN_FILE", "AWS_CA_BUNDLE",
    "GOOGLE_APPLICATION_CREDENTIALS", "CLOUDSDK_CONFIG", "CLOUDSDK_AUTH_CREDENTIAL_FILE_OVERRIDE",
    "AZURE_CONFIG_DIR", "AZURE_FEDERATED_TOKEN_FILE", "AZURE_CLIENT_CERTIFICATE_PATH",
    "SSL_CERT_FILE", "REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE", "NODE_EXTRA_CA_CERTS",
    "HOME", "XDG_CONFIG_HOME", "XDG_DATA_HOME", "XDG_CACHE_HOME", "XDG_STATE_HOME",
)  # fmt: skip
"""Variables with a path that ocattach, OpenCode, or a program that authenticates reads."""

LISTS = ("KUBECONFIG", "KRB5_CONFIG", "SSL_CERT_DIR")
"""The same with several paths, separated by colons."""

TYPED_FILES = ("KRB5CCNAME", "KRB5_KTNAME", "KRB5_CLIENT_KTNAME")
"""The same with a path that may follow a type, as in FILE:/run/cc."""

TYPES = ("FILE:", "DIR:", "WRFILE:")
"""Types that a path follows; others name no file (krb5, "ccache types" and krb5_kt_resolve)."""


def absolute(path: str) -> str:
    """The path, from the working directory if it is relative. An empty one and those below `~` are kept."""
    if path in {"", "~"} or path.startswith(("/", "~/")):
        return path
    return os.path.join(working_directory(), path.removeprefix("./"))  # noqa: PTH118 - every warm start runs it


def without_relative_entries(path: str) -> str:
    """PATH without its empty and relative entries, which mean the working directory: a repository may have programs."""
    return os.pathsep.join(filter(os.path.isabs, path.split(os.pathsep))) or os.defpath


def absolute_variables(environ: Mapping[str, str]) -> dict[str, str]:
    """The variables that name files, with absolute paths; PATH without relative ones."""
    found = {"PATH": without_relative_entries(environ.get("PATH", ""))}
    found |= {name: absolute(environ[name]) for name in FILES if name in environ}
    for name in LISTS:
        if name in environ:
            found[name] = ":".join(map(absolute, environ[name].split(":")))
    for name in TYPED_FILES:
        value = environ.get(name, "")
        kind = next(filter(value.startswith, TYPES), "")
        if kind or (value and ":" not in value):
            found[name] = kind + absolute(value.removeprefix(kind))
    return found


def working_directory() -> Path:
    """Return the working directory. Raises UsageError if it has been removed, or is not reachable any more."""
    try:
        return Path.cwd()
    except OSError as error:
        raise UsageError(
            f"The working directory cannot be used: {error.strerror}",
            hint="It may have been removed. Change to another one first: cd",
        ) from error


def with_home(environ: Mapping[str, str]) -> dict[str, str]:
    """HOME, where it is not set: that of the user database, as shells have it.

    An account without an entry there gets `/`, as from container engines.
    """
    if environ.get("HOME"):
        return {}
    import pwd  # noqa: PLC0415 - warm; hardly any start needs it

    try:
        return {"HOME": pwd.getpwuid(os.getuid()).pw_dir or "/"}
    except KeyError:
        return {"HOME": "/"}
