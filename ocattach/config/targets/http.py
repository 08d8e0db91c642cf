"""A daemon at a URL, which ocattach does not start."""
# ruff: noqa: D102 - an override has the docstring of what it overrides

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import ClassVar, Self

from ocattach.config.files.entry import Schema
from ocattach.config.targets import key_types
from ocattach.config.targets.base import Target
from ocattach.config.targets.rules import check_file, check_host, check_printable, check_variable
from ocattach.config.targets.uri_text import (
    URIParts,
    encode,
    format_authority,
    format_query,
    split_authority,
    split_uri,
)
from ocattach.errors import UsageError

PATH = r"[A-Za-z0-9._~!$&'()*+,;=:@%/-]*"
HEADER_NAME = r"[A-Za-z0-9!#$%&'*+.^_`|~-]+"
FRAMING = {"connection", "content-length", "expect", "te", "trailer", "transfer-encoding", "upgrade"}
"""Headers that each request sets itself."""


@dataclass(frozen=True, slots=True)
class HTTPTarget(Target):
    """A daemon at a URL and the source of its password; without one, the user is asked."""

    url: str
    """Without user, query and trailing slash; scheme and host in lower case."""

    username: str | None = None

    headers: tuple[tuple[str, str], ...] = field(default=(), repr=False)
    password_env: str | None = None
    password_command: tuple[str, ...] = ()
    ca_file: str | None = None
    allow_plain_password: bool = False
    scheme: ClassVar[str] = "http"
    label: ClassVar[str] = "A daemon at a URL"
    keys: ClassVar[Mapping[str, Schema]] = {
        "url": key_types.string(
            "URL of the daemon, without user and password.",
            r"^[Hh][Tt][Tt][Pp][Ss]?://[^@/?#\s]+(/[^?#\s]*)?$",
            "https://opencode.example.com",
        ),
        "username": key_types.string(
            "User to log in as; the default is opencode.", f"^(?!.*:){key_types.PRINTABLE}+$"
        ),
        "headers": key_types.table(
            "Headers sent with every request, for a proxy in front of the daemon.",
            f"^{HEADER_NAME}$",
            {"type": "string"},
        ),
        "password_env": key_types.string(
            "Name of the variable of the user's machine that has the password.", f"^{key_types.VARIABLE}$"
        ),
        "password_command": key_types.array(
            "Program and arguments that print the password, run on this machine without a shell.",
            f"^{key_types.PRINTABLE}*$",
            ["pass", "show", "opencode"],
        ),
        "ca_file": key_types.file(
            "PEM file of certificates that are trusted besides those of the system.", "~/ca.pem"
        ),
        "allow_plain_password": {
            "description": "Whether password and headers may be sent unencrypted over http:// to another machine.",
            "type": "boolean",
        },
    }
    key_rules: ClassVar[Schema] = key_types.required("url")
    user_only_keys: ClassVar[frozenset[str]] = frozenset(
        {"headers", "password_command", "ca_file", "allow_plain_password"}
    )

    runs_commands: ClassVar[bool] = False

    def __post_init__(self) -> None:
        object.__setattr__(self, "url", normal_url(self.url))
        if self.username is not None:
            check_username(self.username)
        if self.password_env is not None:
            check_variable(self.password_env, "password_env")
            if self.password_command:
                raise UsageError("password_env and password_command cannot be used together")
        for name, value in self.headers:
            check_header(name, value)
        if self.has_authorization and (self.password_env or self.password_command):
            raise UsageError(
                "headers: Authorization conflicts with the password",
                hint="Remove that header, or password_env and password_command",
            )
        if self.ca_file is not None:
            check_file(self.ca_file, "ca_file")
            if not self.url.startswith("https:"):
                raise UsageError(f"ca_file cannot be used with {self.url}", hint="It requires https://")
        for word in self.password_command:
            check_printable(word, "password_command")

    @property
    def access(self) -> Mapping[str, str]:
        return {"account": self.username or "opencode"}

    @property
    def sent_variables(self) -> tuple[str, ...]:
        return (self.password_env,) if self.password_env else ()

    @property
    def needs_link(self) -> bool:
        """Only with headers, which `opencode attach` (1.18.33) cannot send. It accepts a base path and a CA."""
        return bool(self.headers)

    @property
    def has_authorization(self) -> bool:
        """Whether the headers contain credentials."""
        return any(name.lower() == "authorization" for name, _ in self.headers)

    @classmethod
    def from_uri(cls, parts: URIParts) -> tuple[Self, str | None]:
        parts.refuse_unknown_query("password_env", "workdir")
        authority, slash, path = parts.body.partition("/")
        username, host, port = split_authority(authority)
        url = f"{parts.scheme}://{format_authority(None, host, port)}{slash}{path}"
        target = cls(url=url, username=username, password_env=parts.query.get("password_env"))
        return target, parts.query.get("workdir")

    def uri(self, workdir: str | None = None) -> str:
        """The URL with user and directory; headers and password_command are not part of it."""
        scheme, _, rest = self.url.partition("://")
        user = f"{encode(self.username)}@" if self.username else ""
        query = format_query({"password_env": self.password_env, "workdir": workdir})
        return f"{scheme}://{user}{rest}{query}"


def normal_url(url: str) -> str:
    """Normalize a URL, so that one daemon has one spelling. Raises UsageError for an invalid one."""
    parts = split_uri(url)
    authority, slash, path = parts.body.partition("/")
    user, host, port = split_authority(authority)
    if parts.scheme not in {"http", "https"} or parts.query or user is not None:
        raise UsageError(f"url {url!r} is not of the form http://HOST:PORT", hint="Put a user into username")
    check_host(host, "the host of url")
    if not re.fullmatch(PATH, path):
        raise UsageError(f"url {url!r} has characters in its path that must be percent-encoded")
    return f"{parts.scheme}://{format_authority(None, host.lower(), port)}{slash}{path}".rstrip("/")


def check_header(name: str, value: str) -> None:
    """Raise UsageError for an invalid header, and for one that each request sets itself."""
    if not re.fullmatch(HEADER_NAME, name):
        raise UsageError(f"headers: {name!r} is not a valid header name")
    if name.lower() in FRAMING:
        raise UsageError(f"headers: {name} is set by each request and cannot be configured")
    check_printable(value, f"headers: {name}")
    if not value.isascii():
        raise UsageError(f"headers: the value of {name} has non-ASCII characters")


def check_username(value: str) -> None:
    """Raise UsageError for what HTTP basic authentication cannot carry."""
    check_printable(value, "username")
    if not value or ":" in value:
        raise UsageError(f"username {value!r} is empty or contains ':'")
