"""The settings of the user, from `config.yaml`."""

import math
from collections.abc import Sequence
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

from ocattach.config.files.entry import Entry, refuse_unknown_keys, wrong_type
from ocattach.config.files.owner import read_own_text
from ocattach.config.files.yaml_text import read_mapping
from ocattach.errors import ConfigurationError, UsageError

FILE = "config.yaml"
SSH_CLIENTS = ("auto", "openssh", "paramiko")


@dataclass(frozen=True, slots=True)
class Settings:
    """The settings; fields are the keys of the file, with their defaults."""

    link_idle_seconds: float = 600
    """How long a link lives without a client."""

    hold_seconds: float = 120
    """How long a request is held while a lost connection is restored, before it gets 503."""

    dead_seconds: float = 15
    """How long an environment may be silent before its connection counts as lost."""

    connect_timeout_seconds: float = 60
    """Timeout for connecting, until the daemon is ready."""

    ssh_client: str = "auto"
    """What reaches ssh hosts: `openssh`, `paramiko`, or `auto` for OpenSSH where there is an `ssh` program."""


def load_settings(config_directory: Path) -> Settings:
    """Read the settings. Raises ConfigurationError naming the file and the wrong key."""
    path = config_directory / FILE
    text = read_own_text(path)
    if text is None:
        return Settings()
    mapping = read_mapping(text, path)
    try:
        refuse_unknown_keys(mapping, [field.name for field in fields(Settings)], "the file")
        return Settings(**{key: value(mapping, key) for key in mapping})
    except UsageError as error:
        raise ConfigurationError(f"{path}: {error.message}", hint=error.hint) from error


def value(mapping: Entry, key: str) -> Any:
    """The checked value at `key`."""
    return one_of(mapping, key, SSH_CLIENTS) if key == "ssh_client" else seconds(mapping, key)


def one_of(mapping: Entry, key: str, values: Sequence[str]) -> str:
    """The value at `key`, one of several words."""
    chosen = mapping[key]
    if chosen not in values:
        raise wrong_type(key, chosen, " or ".join(values))
    return str(chosen)


def seconds(mapping: Entry, key: str) -> float:
    """The positive, finite number of seconds at `key`."""
    value = mapping[key]
    if not isinstance(value, int | float) or isinstance(value, bool):
        raise wrong_type(key, value, "a number of seconds")
    if not (math.isfinite(value) and value > 0):
        raise UsageError(f"{key} must be greater than 0, not {value}")
    return value
