"""A host reached by ssh."""
# ruff: noqa: D102 - an override has the docstring of what it overrides

from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar, Self

from ocattach.config.files.entry import Schema
from ocattach.config.targets import key_types
from ocattach.config.targets.base import Target
from ocattach.config.targets.rules import check_file, check_given, check_host, check_port, check_user
from ocattach.config.targets.uri_text import (
    SAFE_IN_PATH,
    URIParts,
    decode,
    encode,
    format_authority,
    format_query,
    split_authority,
)

HOST = "^([A-Za-z0-9_][A-Za-z0-9_.-]*|[0-9A-Fa-f:.]*:[0-9A-Fa-f:.]*(%[A-Za-z0-9_][A-Za-z0-9_.-]*)?)$"

PORT = "([1-9][0-9]{0,3}|[1-5][0-9]{4}|6[0-4][0-9]{3}|65[0-4][0-9]{2}|655[0-2][0-9]|6553[0-5])"
HOP = rf"([A-Za-z0-9_.:@+%-]+@)?(\[[A-Za-z0-9.%]*:[A-Za-z0-9.:%]*\]|[A-Za-z0-9_.%-]+)(:{PORT})?"
"""One host of `jump`, for the schema; `check_jump` is stricter."""


@dataclass(frozen=True, slots=True)
class SSHTarget(Target):
    """A host; fields that are None are taken from the user's ssh configuration."""

    host: str
    user: str | None = None
    port: int | None = None

    identity_file: str | None = None
    jump: str | None = None
    scheme: ClassVar[str] = "ssh"
    label: ClassVar[str] = "A host reached by ssh"
    keys: ClassVar[Mapping[str, Schema]] = {
        "host": key_types.string(
            "Name or address of the host, or an alias of ~/.ssh/config.", HOST, "staging.example.com"
        ),
        "user": key_types.word("User on the host.", also=":@+"),
        "port": key_types.port("Port of the ssh server; the port of the daemon is daemon_port."),
        "identity_file": key_types.file("Private key on this machine.", "~/.ssh/id_ed25519"),
        "jump": key_types.string(
            "Hosts to go through, as in ssh's ProxyJump: USER@HOST:PORT, several with commas.",
            f"^{HOP}(,{HOP})*$",
            "bastion.example.com",
        ),
    }
    key_rules: ClassVar[Schema] = key_types.required("host")
    user_only_keys: ClassVar[frozenset[str]] = frozenset({"identity_file"})
    options: ClassVar[Mapping[str, str]] = {"user": "user", "identity": "identity_file", "port": "port"}

    def __post_init__(self) -> None:
        check_host(self.host)
        check_given(
            self, {"user": check_user, "port": check_port, "identity_file": check_file, "jump": check_jump}
        )

    @classmethod
    def from_uri(cls, parts: URIParts) -> tuple[Self, str | None]:
        parts.refuse_unknown_query("identity_file", "jump")
        authority, slash, path = parts.body.partition("/")
        if authority.endswith(":~"):  # host:~/dir, as in scp
            authority, slash, path = authority.removesuffix("~"), "/", f"~{slash}{path}"
        user, host, port = split_authority(authority.removesuffix(":"))
        target = cls(host, user, port, parts.query.get("identity_file"), parts.query.get("jump"))
        if not slash:
            return target, None
        return target, decode(path) if path.startswith("~") else f"/{decode(path)}"

    @property
    def access(self) -> Mapping[str, str]:
        return {"account": self.user or "the one of your ssh configuration"}

    def uri(self, workdir: str | None = None) -> str:
        query = format_query({"identity_file": self.identity_file, "jump": self.jump})
        return f"ssh://{format_authority(self.user, self.host, self.port)}{format_path(workdir)}{query}"


def format_path(workdir: str | None) -> str:
    """A directory after a host. The home directory is `/~`; a directory named `~` is `/%7E`."""
    if workdir is None:
        return ""
    path = encode(workdir.removeprefix("/"), SAFE_IN_PATH)
    if workdir.startswith("/") and path.startswith("~"):
        path = f"%7E{path[1:]}"
    return f"/{path}"


def check_jump(value: str, what: str) -> None:
    """Accept a comma-separated list of hosts; in particular, no commands."""
    for hop in value.split(","):
        user, host, port = split_authority(hop)
        check_host(host, what)
        if user is not None:
            check_user(user, f"the user of {what}")
        if port is not None:
            check_port(port, f"the port of {what}")
