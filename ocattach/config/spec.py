"""A connection: which environment, and how its daemon is to be used there.

The same entry format serves saved files, project files and handing a connection to another process.
"""

import json
import os
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Literal, Self

from ocattach.config.files.entry import (
    Entry,
    as_table,
    number,
    present,
    refuse_unknown_keys,
    shown,
    text,
    text_pairs,
    texts,
)
from ocattach.config.suggestion import closest
from ocattach.config.targets import key_types
from ocattach.config.targets.base import Target
from ocattach.config.targets.key_types import Schema
from ocattach.config.targets.registry import target_class, transports
from ocattach.config.targets.rules import (
    check_port,
    check_printable,
    check_text,
    check_variable,
    check_workdir,
)
from ocattach.errors import UsageError

OUR_VARIABLES = ("OPENCODE_SERVER_PASSWORD", "OPENCODE_SERVER_USERNAME")
OUR_PREFIX = "OCATTACH_"
"""What the daemon is given by us, or an ocattach in there would heed, and so cannot be given by an entry."""

FREE_VARIABLE = f"^(?!{OUR_PREFIX}|({'|'.join(OUR_VARIABLES)})$){key_types.VARIABLE}$"

COMMON_KEYS: Mapping[str, Schema] = {
    "transport": {"description": "How the environment is reached."},
    "workdir": key_types.string(
        "Directory in the environment that the agent works in: absolute, or from the home directory there.",
        f"^(~|(~/|/){key_types.PRINTABLE}*)$",
        "/app",
        "~/src",
    ),
    "daemon_port": key_types.port("Port that the daemon must have; without it any will do."),
    "port": key_types.port("The daemon's port; the same as daemon_port."),
    "opencode": key_types.text(
        "Path of the opencode program in the environment, where it is not on the PATH or in its usual places.",
        "/opt/opencode/bin/opencode",
    ),
    "env": key_types.table(
        "Variables for a daemon that is started. No secrets: this file is shared.",
        FREE_VARIABLE,
        {"type": ["string", "integer"]},
    ),
    "unset_env": key_types.array(
        "Names of variables that a daemon is started without, such as those of a proxy.",
        f"^{key_types.VARIABLE}$",
    ),
    "forward_env": key_types.array(
        "Names of variables of each user's own machine that a daemon is started with, such as a provider's "
        "API key. Their values never stand in a file.",
        FREE_VARIABLE,
        ["ANTHROPIC_API_KEY"],
    ),
    "description": key_types.string("What this is, for people.", f"^{key_types.PRINTABLE}*$"),
}
"""The keys of every transport, with their JSON Schema. `port` may be the transport's own instead (ssh)."""

LINK_KEY_LENGTH = 16

SourceKind = Literal["typed", "user", "project"]


@dataclass(frozen=True, slots=True)
class Source:
    """Where a connection was defined."""

    kind: SourceKind
    path: Path | None = None

    definition: str = field(default="", repr=False)
    """The project's entry in canonical form: what trust is about, whatever is typed on top of it."""


TYPED = Source("typed")


@dataclass(frozen=True, slots=True, kw_only=True)
class ConnectionSpec:
    """One connection; valid from the moment it exists."""

    target: Target
    name: str | None = None
    workdir: str | None = None

    daemon_port: int | None = None
    """The port a daemon must have; None for any."""

    opencode: str | None = None
    """Path of the program in the environment."""

    env: tuple[tuple[str, str], ...] = field(default=(), repr=False)
    """Variables for a daemon that is started."""

    unset_env: tuple[str, ...] = ()
    forward_env: tuple[str, ...] = ()
    """Names of variables of this machine that a daemon is started with."""

    description: str = ""
    source: Source = TYPED

    def __post_init__(self) -> None:
        if self.workdir is not None:
            check_workdir(self.workdir)
        if self.daemon_port is not None:
            check_port(self.daemon_port, "daemon_port")
        if self.opencode is not None:
            check_text(self.opencode, "opencode")
        check_printable(self.description, "description")
        for key, names in (("unset_env", self.unset_env), ("forward_env", self.forward_env)):
            for name in names:
                check_variable(name, key)
                if key == "forward_env":
                    check_not_ours(name, key)
        for name, value in self.env:
            check_environment(name, value)

    @classmethod
    def from_entry(cls, entry: Entry, *, name: str | None = None, source: Source = TYPED) -> Self:
        """The connection that an entry of a file describes; raises UsageError naming the wrong key."""
        transport = text(entry, "transport")
        if transport is None:
            raise no_transport(entry)
        kind = target_class(transport)
        refuse_unknown_keys(entry, (*COMMON_KEYS, *kind.keys), transport)
        return cls(
            target=kind.from_entry(entry),
            name=name,
            workdir=text(entry, "workdir"),
            daemon_port=daemon_port(entry, kind),
            opencode=text(entry, "opencode"),
            env=text_pairs(entry, "env"),
            unset_env=texts(entry, "unset_env"),
            forward_env=texts(entry, "forward_env"),
            description=text(entry, "description") or "",
            source=source,
        )

    def to_entry(self) -> dict[str, object]:
        """The inverse of `from_entry`: only what says something, in plain JSON types."""
        return present(
            {
                "transport": self.target.scheme,
                **self.target.to_entry(),
                "workdir": self.workdir,
                "daemon_port": self.daemon_port,
                "opencode": self.opencode,
                "env": dict(self.env),
                "unset_env": list(self.unset_env),
                "forward_env": list(self.forward_env),
                "description": self.description,
            }
        )

    @classmethod
    def from_json(cls, document: str) -> Self:
        """A connection that another process of ours wrote with `to_json`."""
        record = json.loads(document)
        source = record["source"]
        path = None if source["path"] is None else Path(source["path"])
        return cls.from_entry(
            as_table(record["entry"], "entry"),
            name=record["name"],
            source=Source(source["kind"], path, source["definition"]),
        )

    def to_json(self) -> str:
        """The whole connection as one line of JSON; it may hold secrets, so it travels through pipes only."""
        source = {
            "kind": self.source.kind,
            "path": None if self.source.path is None else str(self.source.path),
            "definition": self.source.definition,
        }
        return json.dumps({"name": self.name, "source": source, "entry": self.to_entry()})

    def identity(self, environ: Mapping[str, str] = os.environ) -> str:
        """What makes the environment and its daemon the same, as text that may hold secrets.

        Neither the name nor the directory counts: one link and one daemon serve all directories.
        """
        return canonical(
            {
                "transport": self.target.scheme,
                "target": self.target.to_entry(),
                "daemon_port": self.daemon_port,
                "opencode": self.opencode,
                "surroundings": {name: environ[name] for name in self.target.surroundings if name in environ},
            }
        )

    def link_key(self, environ: Mapping[str, str] = os.environ) -> str:
        """The identity as a short file name."""
        from hashlib import sha256  # noqa: PLC0415 - links only

        return sha256(self.identity(environ).encode()).hexdigest()[:LINK_KEY_LENGTH]

    def display(self) -> str:
        """The connection as people see it: docker://frontend-app:/app."""
        return self.target.display(self.workdir)

    def title(self) -> str:
        """The connection by its name, and what that stands for: frontend (docker://frontend-app:/app)."""
        place = self.target.title(self.workdir)
        return f"{self.name} ({place})" if self.name else place

    def forwarded_env(self, environ: Mapping[str, str] = os.environ) -> tuple[tuple[str, str], ...]:
        """The variables of `forward_env` that this machine has, with their values."""
        return tuple((name, environ[name]) for name in self.forward_env if name in environ)

    def with_default_workdir(self, cwd: Path) -> Self:
        """The same, with the directory to use where none was named; it is the original that is saved."""
        return self if self.workdir else replace(self, workdir=self.target.default_workdir(cwd))

    def settled(self, environ: Mapping[str, str]) -> Self:
        """The same, with what the settings of this machine decide today written out (see `Target.settled`)."""
        return replace(self, target=self.target.settled(environ))

    def with_overrides(
        self,
        *,
        workdir: str | None = None,
        user: str | None = None,
        identity: str | None = None,
        port: int | None = None,
        namespace: str | None = None,
        context: str | None = None,
        container: str | None = None,
    ) -> Self:
        """The same with the options that were typed; an option that the scheme does not know is a UsageError.

        `port` is the port of ssh, as `--port` is. Options are the user's word and change nothing about trust.
        """
        options = {
            "user": user,
            "identity": identity,
            "port": port,
            "namespace": namespace,
            "context": context,
            "container": container,
        }
        given = {option: value for option, value in options.items() if value is not None}
        target = self.target.with_options(given) if given else self.target
        return replace(self, target=target, workdir=self.workdir if workdir is None else workdir)


def no_transport(entry: Entry) -> UsageError:
    """The error for an entry that does not say what it is, or misspells it."""
    near = closest("transport", (key for key in entry if key not in COMMON_KEYS))
    hint = (
        f"Did you mean transport by {shown(near[0])}?" if near else f"It is one of {', '.join(transports())}"
    )
    return UsageError("transport is missing", hint=hint)


def daemon_port(entry: Entry, kind: type[Target]) -> int | None:
    """The daemon's port under either of its two names."""
    port = number(entry, "daemon_port")
    if "port" in kind.keys:
        return port
    synonym = number(entry, "port")
    if port is not None and synonym is not None and port != synonym:
        raise UsageError(
            f"port {synonym} and daemon_port {port} are the same thing here", hint="Leave one out"
        )
    return synonym if port is None else port


def check_environment(name: str, value: str) -> None:
    """Refuse a variable that cannot be set, or is not the entry's to set."""
    check_variable(name, "env")
    check_not_ours(name, "env")
    if any(character == "\0" or "\ud800" <= character <= "\udfff" for character in value):
        raise UsageError(f"env: {name} contains what no variable can hold")


def check_not_ours(name: str, what: str) -> None:
    """Refuse a variable that is ocattach's own to set."""
    if name in OUR_VARIABLES or name.startswith(OUR_PREFIX):
        raise UsageError(f"{what}: {name} is set by ocattach itself")


def canonical(value: object) -> str:
    """JSON that is the same for equal values."""
    return json.dumps(value, sort_keys=True, separators=(",", ":"))
