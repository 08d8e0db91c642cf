"""A container of Docker or Podman, by its name or by the service of a compose project."""
# ruff: noqa: D102 - an override has the docstring of what it overrides

from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any, ClassVar, Self

from ocattach.config.files.entry import (
    Entry,
    Schema,
    present,
    read_values,
    refuse_unknown_keys,
    table,
    text,
    written_values,
)
from ocattach.config.targets import key_types
from ocattach.config.targets.base import Target
from ocattach.config.targets.devcontainer import DEVCONTAINER, absolute, format_folder, read_folder
from ocattach.config.targets.docker_config import (
    DEFAULT_CONTEXT,
    DEFAULT_HOST,
    certificate_path,
    current_context,
)
from ocattach.config.targets.engine import ENGINE, TLS_SCHEMES, check_certificates, check_engine
from ocattach.config.targets.podman_config import named_service
from ocattach.config.targets.rules import check_given, check_text, check_user, check_variable, check_word
from ocattach.config.targets.uri_text import (
    SAFE_IN_PATH,
    URIParts,
    decode,
    encode,
    format_place,
    format_query,
    split_place,
)
from ocattach.errors import ConfigurationError, UsageError

COMPOSE = "compose"
"""The first part of the name in URIs of compose services: docker://compose/PROJECT/SERVICE."""

ENGINE_KEYS = ("host", "context", "cert_path")
KINDS = ("container", COMPOSE, DEVCONTAINER)
FOLDER_CHARACTERS = SAFE_IN_PATH.replace(":", "")


def container_keys(engine: str) -> Mapping[str, Schema]:
    """The keys of entries of containers, with descriptions for one engine."""
    return {
        "container": key_types.word("Name or id of the container."),
        COMPOSE: key_types.record(
            "A service of a compose project, instead of the name of a container.",
            {
                "project": key_types.word("Name of the project."),
                "service": key_types.word("Name of the service."),
            },
        ),
        DEVCONTAINER: key_types.text(
            "Folder on this machine whose dev container is meant, instead of the name of a container; in a project "
            "file relative to the project.",
            ".",
        ),
        "local_env": key_types.array(
            "Names of variables of this machine whose values the dev container may use, by ${localEnv:NAME}.",
            f"^{key_types.VARIABLE}$",
        ),
        "user": key_types.word(
            "User in the container: a name, a number, or USER:GROUP.", "root", "1000:1000", also=":@+"
        ),
        "host": key_types.string(
            f"Address of the {engine}; the default is that of the user.",
            ENGINE,
            "unix:///run/docker.sock",
            "ssh://me@build.example.com",
        ),
        "context": key_types.word(f"Name of the {engine} in the user's configuration.", also="+"),
        "cert_path": key_types.file(
            "Directory on this machine with ca.pem, cert.pem and key.pem.", "~/.docker/certs"
        ),
        "allow_plain_password": {
            "description": "Whether the daemon's password may go unencrypted over tcp:// to an engine on another "
            "machine.",
            "type": "boolean",
        },
    }


@dataclass(frozen=True, slots=True)
class ContainerTarget(Target):
    """A container: set is `container`, or `devcontainer`, or both of `compose_project` and `compose_service`."""

    container: str | None = None
    """Name or id."""

    compose_project: str | None = None
    compose_service: str | None = None

    devcontainer: str | None = None
    """Folder on this machine that the dev container was made for; relative only where it was just read."""

    local_env: tuple[str, ...] = ()
    user: str | None = None
    host: str | None = None
    context: str | None = None
    cert_path: str | None = None
    allow_plain_password: bool = False
    key_rules: ClassVar[Schema] = {
        **key_types.exactly_one(*KINDS),
        **key_types.not_together("host", "context"),
    }
    user_only_keys: ClassVar[frozenset[str]] = frozenset({"cert_path", "allow_plain_password", "local_env"})
    options: ClassVar[Mapping[str, str]] = {"user": "user", "context": "context"}

    def __post_init__(self) -> None:
        compose = (self.compose_project, self.compose_service)
        values = (self.container, None if compose == (None, None) else COMPOSE, self.devcontainer)
        given = [kind for kind, value in zip(KINDS, values, strict=True) if value is not None]
        if len(given) > 1:
            raise UsageError(f"{' and '.join(given)} cannot be used together")
        if not given or compose.count(None) == 1:
            raise UsageError(
                f"{self.scheme} requires container, compose with project and service, or devcontainer"
            )
        names = ("container", "compose_project", "compose_service")
        check_given(self, {**dict.fromkeys(names, check_word), DEVCONTAINER: check_text})
        for name in self.local_env:
            check_variable(name, "local_env")
        if self.host is not None and self.context is not None:
            raise UsageError("host and context cannot be used together")
        check_context = partial(check_word, also="+")
        check_given(self, {"user": check_user, "host": check_engine, "context": check_context})
        if self.cert_path is not None:
            check_certificates(self.cert_path, self.host)

    @classmethod
    def from_entry(cls, entry: Entry) -> Self:
        compose = table(entry, COMPOSE) or {}
        refuse_unknown_keys(compose, ("project", "service"), COMPOSE)
        return cls(
            compose_project=text(compose, "project"),
            compose_service=text(compose, "service"),
            **read_values(entry, cls.plain_keys()),
        )

    def to_entry(self) -> dict[str, object]:
        compose = present({"project": self.compose_project, "service": self.compose_service})
        return {**present({COMPOSE: compose}), **written_values(self, self.plain_keys())}

    @classmethod
    def plain_keys(cls) -> dict[str, Schema]:
        """The keys with the names of fields."""
        return {key: schema for key, schema in cls.keys.items() if key != COMPOSE}

    @classmethod
    def from_uri(cls, parts: URIParts) -> tuple[Self, str | None]:
        parts.refuse_unknown_query(*ENGINE_KEYS)
        user, encoded, workdir = split_place(parts.body)
        engine: dict[str, Any] = {key: parts.query.get(key) for key in ENGINE_KEYS}
        names = [decode(name) for name in encoded.split("/")]
        match names:
            case [container]:
                return cls(container=container, user=user, **engine), workdir
            case ["compose", project, service]:
                return cls(compose_project=project, compose_service=service, user=user, **engine), workdir
            case ["devcontainer", *folders]:
                return cls(devcontainer=read_folder("/".join(folders)), user=user, **engine), workdir
            case _:
                name, _, directory = encoded.partition("/")
                raise UsageError(
                    f"{encoded!r} is not a container name",
                    hint=f"A directory follows a colon: {parts.scheme}://{name}:/{directory}",
                )

    def with_options(self, values: Mapping[str, object]) -> Self:
        """The target with options applied; a typed context replaces what was said about the former engine."""
        if "context" not in values:
            return Target.with_options(self, values)
        return Target.with_options(
            replace(self, host=None, cert_path=None, allow_plain_password=False), values
        )

    def located(self, directory: Path) -> Self:
        if self.devcontainer is None:
            return self
        return replace(self, devcontainer=absolute(self.devcontainer, directory))

    def identity(self) -> dict[str, object]:
        return replace(self, local_env=()).to_entry()

    @property
    def passed_variables(self) -> tuple[str, ...]:
        return self.local_env

    def uri(self, workdir: str | None = None) -> str:
        name = self.container or f"{COMPOSE}/{self.compose_project}/{self.compose_service}"
        if self.devcontainer is not None:
            name = f"{DEVCONTAINER}/{encode(format_folder(self.devcontainer), FOLDER_CHARACTERS)}"
        query = format_query({key: getattr(self, key) for key in ENGINE_KEYS})
        return f"{self.scheme}://{format_place(self.user, name, workdir)}{query}"

    def title(self, workdir: str | None = None) -> str:
        return replace(self, host=None, cert_path=None).uri(workdir)

    @property
    def access(self) -> Mapping[str, str]:
        engine = f"context {self.context}" if self.context else f"the default of {self.scheme}"
        return {"engine": self.host or engine, "account": self.user or "the default of the container"}


class DockerTarget(ContainerTarget):
    """A container of a Docker engine."""

    __slots__ = ()
    scheme = "docker"
    label = "A Docker container"
    keys = container_keys("Docker engine")

    def pinned(self, environ: Mapping[str, str]) -> Self:
        """The target with the engine that the docker command line would use.

        The order is DOCKER_HOST, DOCKER_CONTEXT, the current context, the default socket, which is written out too.
        DOCKER_TLS_VERIFY also applies to a host that the connection names, as to `docker --host`.
        """
        if self.host is not None and self.cert_path is None:
            speaks_tls = self.host.startswith(TLS_SCHEMES)
            return replace(self, cert_path=certificate_path(environ) if speaks_tls else None)
        if self.host is not None or self.context not in (None, DEFAULT_CONTEXT):
            return self
        host = environ.get("DOCKER_HOST")
        if host:
            address = host if "://" in host else f"tcp://{host}"
            cert_path = certificate_path(environ) if address.startswith(TLS_SCHEMES) else None
            try:
                return replace(self, host=address, context=None, cert_path=cert_path)
            except UsageError as error:
                raise UsageError(f"DOCKER_HOST: {error.message}", hint=error.hint) from error
        if self.context is None:
            try:
                context = environ.get("DOCKER_CONTEXT") or current_context(environ) or DEFAULT_CONTEXT
            except ConfigurationError:
                return self
            if context != DEFAULT_CONTEXT:
                return replace(self, context=context)
        return replace(self, host=DEFAULT_HOST, context=None)

    def display(self, workdir: str | None = None) -> str:
        shown = replace(self, host=None) if self.host == DEFAULT_HOST else self
        return shown.uri(workdir)


class PodmanTarget(ContainerTarget):
    """A container of a Podman service."""

    __slots__ = ()
    scheme = "podman"
    label = "A Podman container"
    keys = container_keys("Podman service")

    def pinned(self, environ: Mapping[str, str]) -> Self:
        """The target with the service that `podman --remote` would use; without one, podman of this account."""
        if self.host is not None or self.context is not None:
            return self
        host, context = named_service(environ)
        try:
            return replace(self, host=host, context=context)
        except UsageError as error:
            raise UsageError(f"CONTAINER_HOST: {error.message}", hint=error.hint) from error
