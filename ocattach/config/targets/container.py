"""A container that Docker or Podman runs, by its name or by the service of a compose project."""
# ruff: noqa: D102 - an override has the docstring of what it overrides

from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar, Self

from ocattach.config.entry import Entry, present, refuse_unknown_keys, table, text
from ocattach.config.rules import check_host, check_port, check_text, check_user, check_word
from ocattach.config.targets.base import Target
from ocattach.config.uri_text import (
    URIParts,
    decode,
    format_place,
    format_query,
    split_authority,
    split_place,
)
from ocattach.errors import UsageError

COMPOSE = "compose"
"""First part of the name in URIs of compose services: docker://compose/PROJECT/SERVICE."""

ENGINE_SCHEMES = ("tcp", "http", "https", "ssh")


@dataclass(frozen=True, slots=True)
class ContainerTarget(Target):
    """A container: either `container` is set, or both of `compose_project` and `compose_service`."""

    container: str | None = None
    """Name or id."""

    compose_project: str | None = None
    compose_service: str | None = None

    user: str | None = None
    """Account in the container, also as `uid:gid`; None for the container's own."""

    host: str | None = None
    """Address of the engine, such as `unix:///run/docker.sock`."""

    context: str | None = None
    """Name under which the user's engine configuration knows the engine."""

    keys: ClassVar[tuple[str, ...]] = ("container", COMPOSE, "user", "host", "context")
    options: ClassVar[Mapping[str, str]] = {"user": "user", "context": "context"}

    def __post_init__(self) -> None:
        if self.container is not None:
            if self.compose_project is not None or self.compose_service is not None:
                raise UsageError("container and compose exclude each other")
            check_word(self.container, "container")
        elif self.compose_project is None or self.compose_service is None:
            raise UsageError(f"{self.scheme} needs container, or compose with project and service")
        else:
            check_word(self.compose_project, "compose project")
            check_word(self.compose_service, "compose service")
        if self.user is not None:
            check_user(self.user)
        if self.host is not None and self.context is not None:
            raise UsageError("host and context exclude each other")
        if self.host is not None:
            check_engine(self.host)
        if self.context is not None:
            check_word(self.context, "context")

    @classmethod
    def from_entry(cls, entry: Entry) -> Self:
        compose = table(entry, COMPOSE) or {}
        refuse_unknown_keys(compose, ("project", "service"), COMPOSE)
        return cls(
            container=text(entry, "container"),
            compose_project=text(compose, "project"),
            compose_service=text(compose, "service"),
            user=text(entry, "user"),
            host=text(entry, "host"),
            context=text(entry, "context"),
        )

    def to_entry(self) -> dict[str, object]:
        compose = present({"project": self.compose_project, "service": self.compose_service})
        return present(
            {
                "container": self.container,
                COMPOSE: compose,
                "user": self.user,
                "host": self.host,
                "context": self.context,
            }
        )

    @classmethod
    def from_uri(cls, parts: URIParts) -> tuple[Self, str | None]:
        parts.refuse_unknown_query("host", "context")
        user, encoded, workdir = split_place(parts.body)
        host, context = parts.query.get("host"), parts.query.get("context")
        names = [decode(name) for name in encoded.split("/")]
        match names:
            case [container]:
                return cls(container=container, user=user, host=host, context=context), workdir
            case ["compose", project, service]:
                target = cls(
                    compose_project=project, compose_service=service, user=user, host=host, context=context
                )
                return target, workdir
            case _:
                directory = "/".join(names[1:])
                raise UsageError(
                    f"{encoded!r} is no container's name",
                    hint=f"A directory comes after a colon: {parts.scheme}://{names[0]}:/{directory}",
                )

    def uri(self, workdir: str | None = None) -> str:
        name = self.container or f"{COMPOSE}/{self.compose_project}/{self.compose_service}"
        query = format_query({"host": self.host, "context": self.context})
        return f"{self.scheme}://{format_place(self.user, name, workdir)}{query}"


class DockerTarget(ContainerTarget):
    """A container of a Docker engine."""

    __slots__ = ()
    scheme = "docker"


class PodmanTarget(ContainerTarget):
    """A container of a Podman service."""

    __slots__ = ()
    scheme = "podman"


def check_engine(value: str) -> None:
    """Refuse what is no address of an engine."""
    check_text(value, "host")
    scheme, _, rest = value.partition("://")
    if scheme == "unix" and rest.startswith("/"):
        return
    if scheme not in ENGINE_SCHEMES:
        raise UsageError(
            f"host {value!r} is no address of an engine",
            hint="It looks like unix:///run/docker.sock, tcp://HOST:PORT or ssh://USER@HOST",
        )
    user, host, port = split_authority(rest.partition("/")[0])
    check_host(host)
    if user is not None:
        check_user(user)
    if port is not None:
        check_port(port)
