"""The settings of the user, from `config.yaml`."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from types import MappingProxyType
from typing import Any, NamedTuple

from ocattach.config.files.entry import Entry, refuse_unknown_keys, text, wrong_type
from ocattach.config.files.owner import read_own_text
from ocattach.config.files.safe import naming
from ocattach.config.files.yaml_text import read_mapping
from ocattach.config.names import check_name
from ocattach.config.targets.rules import check_variable
from ocattach.errors import UsageError

FILE = "config.yaml"
LONGEST_SECONDS = 1_000_000
"""The longest wait, 11 days: poll(2) waits 24 days at most, and other calls are limited, too."""

SSH_CLIENTS = ("auto", "openssh", "paramiko")
NOTICES = ("waiting", "idle", "error")
EVENTS = (
    *("session-start", "prompt", "tool-start", "tool-end", "permission-asked", "permission-answered"),
    *("question-asked", "question-answered", "answer", "session-end", "gap"),
)
"""The types of events of agents, in the order of the documentation."""


class Settings(NamedTuple):
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

    notify: Sequence[str] = ()
    """When a notice is shown on the desktop: `waiting`, `idle`, `error`."""

    hooks: Mapping[str, Sequence[Sequence[str]]] = MappingProxyType({})
    """Programs to run for events of agents: argument lists by the type of event (docs/events.md)."""

    session_variables: Sequence[str] | None = None
    """Variables that have the session's id in the shells of agents, besides OCATTACH_SESSION; None for neither."""

    default: str | None = None
    """The saved connection, or `local`, that `ocattach` without a name connects to."""


def load_settings(config_directory: Path) -> Settings:
    """Read the settings. Raises ConfigurationError naming the file and the wrong key."""
    path = config_directory / FILE
    content = read_own_text(path)
    if content is None:
        return Settings()
    mapping = read_mapping(content, path)
    with naming(path):
        refuse_unknown_keys(mapping, Settings._fields, "the file")
        return Settings(**{key: value(mapping, key) for key in mapping})


def value(mapping: Entry, key: str) -> Any:
    """The checked value at `key`."""
    match key:
        case "ssh_client":
            return one_of(mapping, key, SSH_CLIENTS)
        case "notify":
            return several_of(mapping, key, NOTICES)
        case "hooks":
            return hooks(mapping)
        case "session_variables":
            return variables(mapping, key)
        case "default":
            return connection_name(mapping, key)
        case _:
            return seconds(mapping, key)


def one_of(mapping: Entry, key: str, values: Sequence[str]) -> str:
    """The value at `key`, one of several words."""
    chosen = mapping[key]
    if chosen not in values:
        raise wrong_type(key, chosen, " or ".join(values))
    return str(chosen)


def connection_name(mapping: Entry, key: str) -> str | None:
    """The value at `key`, a valid name of a connection, or null."""
    name = text(mapping, key)
    if name is not None:
        check_name(name)
    return name


def several_of(mapping: Entry, key: str, values: Sequence[str]) -> tuple[str, ...]:
    """The value at `key`, a list of these words."""
    chosen = mapping[key]
    if not isinstance(chosen, list) or not all(each in values for each in chosen):
        raise wrong_type(key, chosen, f"a list of {', '.join(values)}")
    return tuple(chosen)


def variables(mapping: Entry, key: str) -> tuple[str, ...] | None:
    """The value at `key`, a list of names of variables, or null."""
    chosen = mapping[key]
    if chosen is None:
        return None
    if not isinstance(chosen, list) or not all(isinstance(each, str) for each in chosen):
        raise wrong_type(key, chosen, "a list of names of variables")
    for name in chosen:
        check_variable(name, key)
    return tuple(chosen)


def hooks(mapping: Entry) -> dict[str, tuple[tuple[str, ...], ...]]:
    """The value of `hooks`: for types of events, lists of commands, each a list of a program and its arguments."""
    content = mapping["hooks"]
    if not isinstance(content, dict):
        raise wrong_type("hooks", content, "a mapping of types of events")
    refuse_unknown_keys(content, EVENTS, "hooks")
    found = {}
    for event, commands in content.items():
        if not isinstance(commands, list) or not all(is_command(each) for each in commands):
            raise wrong_type(f"hooks.{event}", commands, "a list of commands, each a list of texts")
        found[str(event)] = tuple(tuple(each) for each in commands)
    return found


def is_command(content: object) -> bool:
    """Whether a value is a program with its arguments."""
    return (
        isinstance(content, list)
        and bool(content and content[0])
        and all(isinstance(word, str) and "\0" not in word for word in content)
    )


def seconds(mapping: Entry, key: str) -> float:
    """The number of seconds at `key`, which is positive and at most `LONGEST_SECONDS`."""
    value = mapping[key]
    if not isinstance(value, int | float) or isinstance(value, bool):
        raise wrong_type(key, value, "a number of seconds")
    if not 0 < value <= LONGEST_SECONDS:
        raise UsageError(f"{key} must be greater than 0 and at most {LONGEST_SECONDS}, not {value}")
    return value
