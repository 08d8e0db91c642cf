"""The Podman service that is the default on this machine, by podman's variables and files.

Files and their order: containers.conf(5) and podman-connections.json, as in systemConfigs and GetConnection of
podman's configuration library.
"""

import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, NamedTuple

from ocattach.config.files.entry import flag, table, text
from ocattach.config.files.foreign import naming, read_object
from ocattach.config.files.safe import read_text
from ocattach.errors import ConfigurationError
from ocattach.programs import which

HINT = "Try: podman system connection list"
KEYS, JSON_KEYS = ("uri", "identity", "is_machine"), ("URI", "Identity", "IsMachine")
SYSTEM_FILES = (Path("/usr/share/containers/containers.conf"), Path("/etc/containers/containers.conf"))


class PodmanService(NamedTuple):
    """A service of `podman system connection list`."""

    uri: str
    identity: str | None = None
    """Path of its ssh key."""

    is_machine: bool = False
    """Whether it is the virtual machine of `podman machine` on this machine."""


class Connections(NamedTuple):
    """The output of `podman system connection list`."""

    destinations: Mapping[str, PodmanService]
    default: str | None = None
    is_remote: bool = False
    """Whether containers.conf has `remote = true`."""


def named_service(environ: Mapping[str, str]) -> tuple[str | None, str | None]:
    """The address or the connection that podman uses by default; neither for podman of this machine.

    CONTAINER_HOST comes before CONTAINER_CONNECTION, and both before the default connection (ActiveDestination). On
    Linux the latter is for `podman --remote`, which is the default with one of these variables, even an empty one, or
    with `remote` in containers.conf (IsRemote in podman's cmd/podman/registry), and for machines without podman.
    """
    variables = ("CONTAINER_HOST", "CONTAINER_CONNECTION")
    host, connection = (environ.get(name) for name in variables)
    if host:
        return host, None
    if connection:
        return None, connection
    try:
        found = read_connections(environ)
    except ConfigurationError:  # the transport reports it where it needs the file
        return None, None
    is_remote = found.is_remote or sys.platform != "linux" or any(name in environ for name in variables)
    if found.default and not is_remote and which("podman", environ.get("PATH")):
        return None, None
    return None, found.default


def read_connections(environ: Mapping[str, str]) -> Connections:
    """The connections of this account. Raises ConfigurationError for a file that cannot be used."""
    default: str | None = None
    is_remote = False
    destinations: dict[str, PodmanService] = {}
    for file in configuration_files(environ):
        with naming("Podman", file, hint=HINT):
            engine = table(read_toml(file), "engine") or {}
            default = text(engine, "active_service") if "active_service" in engine else default
            is_remote = flag(engine, "remote") if "remote" in engine else is_remote
            destinations |= parse_destinations(table(engine, "service_destinations") or {}, KEYS)
    chosen = environ.get("PODMAN_CONNECTIONS_CONF")  # where podman 5 stores connections
    file = Path(chosen) if chosen else user_file(environ).with_name("podman-connections.json")
    with naming("Podman", file, hint=HINT):
        document = table(read_object(file), "Connection") or {}
        destinations |= parse_destinations(table(document, "Connections") or {}, JSON_KEYS)
        return Connections(destinations, text(document, "Default") or default or None, is_remote)


def parse_destinations(entries: Mapping[str, Any], keys: tuple[str, str, str]) -> dict[str, PodmanService]:
    """The entries with an address. The two file formats spell the keys differently."""
    uri, identity, machine = keys
    return {
        name: PodmanService(entry[uri], text(entry, identity) or None, entry.get(machine) is True)
        for name, entry in entries.items()
        if isinstance(entry, dict) and isinstance(entry.get(uri), str)
    }


def configuration_files(environ: Mapping[str, str]) -> Iterator[Path]:
    """The containers.conf files; later ones override earlier ones."""
    if chosen := environ.get("CONTAINERS_CONF"):
        yield Path(chosen)
    else:
        default, override = SYSTEM_FILES
        yield default
        for file in (override, user_file(environ)):
            yield file
            yield from sorted(file.with_name(f"{file.name}.d").glob("*.conf"))
    if last := environ.get("CONTAINERS_CONF_OVERRIDE"):
        yield Path(last)


def user_file(environ: Mapping[str, str]) -> Path:
    """The containers.conf of the user."""
    home = environ.get("XDG_CONFIG_HOME") or Path(environ.get("HOME") or Path.home(), ".config")
    return Path(home, "containers", "containers.conf")


def read_toml(file: Path) -> dict[str, Any]:
    """A configuration file; empty if it is absent. Raises ValueError for one that is not TOML."""
    content = read_text(file) or ""
    if "service" not in content and "remote" not in content:  # none of the keys above: do not load the parser
        return {}
    import tomllib  # noqa: PLC0415 - warm

    return tomllib.loads(content)
