"""A connection: the target environment, and how to use the daemon there.

Saved files, project files and the pipe to a link process use the same entry format.
"""

import json
import os
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from hashlib import sha256
from pathlib import Path
from typing import Literal, Self

from ocattach.config.common_keys import COMMON_KEYS, check_environment, check_not_ours
from ocattach.config.files.entry import (
    Entry,
    as_table,
    number,
    read_values,
    refuse_unknown_keys,
    shown,
    text,
    written_values,
)
from ocattach.config.suggestion import closest
from ocattach.config.targets.base import Target
from ocattach.config.targets.registry import target_class, transports
from ocattach.config.targets.rules import (
    check_given,
    check_port,
    check_printable,
    check_text,
    check_variable,
    check_workdir,
)
from ocattach.config.targets.uri import parse_uri
from ocattach.errors import UsageError

ORIGIN_VARIABLE = "OCATTACH_ORIGIN"
"""The variable with the `origin_name` of a connection, set for daemons that ocattach starts."""

LINK_KEY_LENGTH = 16

OWN_KEYS = {key: schema for key, schema in COMMON_KEYS.items() if key not in ("transport", "port")}
"""The keys with the names of fields."""

SourceKind = Literal["typed", "user", "project"]


@dataclass(frozen=True, slots=True)
class DefinitionSource:
    """Where a connection is defined."""

    kind: SourceKind
    path: Path | None = None

    definition: str = field(default="", repr=False)
    """The entry of the project file in canonical JSON, without typed options: the content that is approved."""


TYPED = DefinitionSource("typed")


@dataclass(frozen=True, slots=True, kw_only=True)
class ConnectionSpec:
    """A connection. The constructor raises UsageError for invalid values."""

    target: Target
    name: str | None = None
    workdir: str | None = None

    daemon_port: int | None = None
    opencode: str | None = None
    env: tuple[tuple[str, str], ...] = field(default=(), repr=False)
    """Variables that a daemon is started with."""

    unset_env: tuple[str, ...] = ()
    forward_env: tuple[str, ...] = ()
    description: str = ""
    source: DefinitionSource = TYPED

    def __post_init__(self) -> None:
        if self.workdir is not None:
            check_workdir(self.workdir)
        check_given(self, {"daemon_port": check_port, "opencode": check_text})
        check_printable(self.description, "description")
        for key, names in (("unset_env", self.unset_env), ("forward_env", self.forward_env)):
            for name in names:
                check_variable(name, key)
                if key == "forward_env":
                    check_not_ours(name, key)
        for name, value in self.env:
            check_environment(name, value)

    @classmethod
    def from_entry(cls, entry: Entry, *, name: str | None = None, source: DefinitionSource = TYPED) -> Self:
        """The connection of an entry. Raises UsageError naming the wrong key."""
        transport = text(entry, "transport")
        if transport is None:
            raise no_transport(entry)
        kind = target_class(transport)
        refuse_unknown_keys(entry, (*COMMON_KEYS, *kind.keys), transport)
        target = kind.from_entry(entry)
        values = read_values(entry, OWN_KEYS)
        values["daemon_port"] = daemon_port(values["daemon_port"], entry, kind)
        values["description"] = values["description"] or ""
        return cls(target=target, name=name, source=source, **values)

    def to_entry(self) -> dict[str, object]:
        """The inverse of `from_entry`: keys that are set, with JSON values."""
        own = written_values(self, OWN_KEYS)
        return {"transport": self.target.scheme, **self.target.to_entry(), **own}

    @classmethod
    def from_json(cls, document: str) -> Self:
        """The inverse of `to_json`."""
        record = json.loads(document)
        source = record["source"]
        path = None if source["path"] is None else Path(source["path"])
        return cls.from_entry(
            as_table(record["entry"], "entry"),
            name=record["name"],
            source=DefinitionSource(source["kind"], path, source["definition"]),
        )

    def to_json(self) -> str:
        """The connection as a line of JSON for another ocattach process. May contain secrets: use pipes only."""
        source = {
            "kind": self.source.kind,
            "path": None if self.source.path is None else str(self.source.path),
            "definition": self.source.definition,
        }
        return json.dumps({"name": self.name, "source": source, "entry": self.to_entry()})

    def identity(self, environ: Mapping[str, str] = os.environ) -> str:
        """Text that is equal for connections that share an environment and a daemon. May contain secrets.

        Name and directory are not part of it, since one link and one daemon serve all directories.
        """
        return canonical({**self._place(environ), "daemon_port": self.daemon_port, "opencode": self.opencode})

    def _place(self, environ: Mapping[str, str]) -> dict[str, object]:
        variables = self.target.identity_variables
        return {
            "transport": self.target.scheme,
            "target": self.target.identity(),
            "surroundings": {name: environ[name] for name in variables if name in environ},
        }

    def place_id(self, environ: Mapping[str, str] = os.environ) -> str:
        """The id of the account and machine, container or pod that a pinned connection leads to.

        Its daemons share one database of sessions, so environments with an equal id have the same sessions.
        """
        return sha256(canonical(self._place(environ)).encode()).hexdigest()[:LINK_KEY_LENGTH]

    def link_key(self, environ: Mapping[str, str] = os.environ) -> str:
        """The id of the environment: a hash of `identity`, 16 hexadecimal digits.

        Names the files of its link, and marks its sessions in OpenCode and in the index. Only for a pinned connection:
        others could have the same id for two engines.
        """
        return sha256(self.identity(environ).encode()).hexdigest()[:LINK_KEY_LENGTH]

    def display(self) -> str:
        """The URI to show: docker://frontend-app:/app."""
        return self.target.display(self.workdir)

    def place(self) -> str:
        """The URI to show to the user, without the address of an engine, unless a project chose it."""
        is_ours = self.source.kind != "project"
        return self.target.title(self.workdir) if is_ours else self.target.display(self.workdir)

    def title(self) -> str:
        """The name with the URI: frontend (docker://frontend-app:/app)."""
        return f"{self.name} ({self.place()})" if self.name else self.place()

    def forwarded_env(self, environ: Mapping[str, str] = os.environ) -> tuple[tuple[str, str], ...]:
        """The variables of `forward_env` that are set on this machine, with their values."""
        return tuple((name, environ[name]) for name in self.forward_env if name in environ)

    @classmethod
    def from_uri(cls, uri: str, cwd: Path) -> Self:
        """The connection of a URI that was typed in a directory. Raises InvalidURIError."""
        parsed = parse_uri(uri)
        return cls(target=parsed.target.located(cwd), workdir=parsed.workdir)

    def with_default_workdir(self, cwd: Path) -> Self:
        """The connection with the default working directory if it has none (not for saving)."""
        return self if self.workdir else replace(self, workdir=self.target.default_workdir(cwd))

    def pinned(self, environ: Mapping[str, str]) -> Self:
        """The connection with the current settings of this machine written out (see `Target.pinned`)."""
        return replace(self, target=self.target.pinned(environ))

    def with_overrides(self, *, workdir: str | None = None, **options: object) -> Self:
        """The connection with typed options applied. Raises UsageError for an option that its scheme does not have.

        `options` have the names of the command line's; those that are None are not applied. They do not affect trust.
        """
        given = {option: value for option, value in options.items() if value is not None}
        target = self.target.with_options(given) if given else self.target
        return replace(self, target=target, workdir=self.workdir if workdir is None else workdir)


def no_transport(entry: Entry) -> UsageError:
    """The error for an entry without the key `transport`, with a misspelled key as the hint."""
    near = closest("transport", (key for key in entry if key not in COMMON_KEYS))
    hint = (
        f"Did you mean transport instead of {shown(near[0])}?"
        if near
        else f"Use one of {', '.join(transports())}"
    )
    return UsageError("transport is missing", hint=hint)


def daemon_port(port: int | None, entry: Entry, kind: type[Target]) -> int | None:
    """The port of the daemon: `port`, which the key `daemon_port` has, or that of its synonym `port`."""
    if "port" in kind.keys:
        return port
    synonym = number(entry, "port")
    if port is not None and synonym is not None and port != synonym:
        raise UsageError(
            f"port {synonym} and daemon_port {port} mean the same here", hint="Remove one of them"
        )
    return synonym if port is None else port


def canonical(value: object) -> str:
    """Canonical JSON: equal text for equal values."""
    return json.dumps(value, sort_keys=True, separators=(",", ":"))


def environment_id(spec: ConnectionSpec, environ: Mapping[str, str]) -> str:
    """The id of a pinned connection's environment in sessions and in the index: its link key."""
    return spec.link_key(environ)


def origin_name(spec: ConnectionSpec) -> str:
    """The name of a connection as an origin; without a name its URI, such as docker://web, or "local"."""
    return spec.name or replace(spec, workdir=None).display().removesuffix("://")
