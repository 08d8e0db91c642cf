"""Containers in which something is amiss with OpenCode, and handlers for them."""

from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from typing import Any, Protocol

import pytest

from ocattach.config.spec import ConnectionSpec
from ocattach.daemon import DaemonStatus
from ocattach.transports import open_handler
from ocattach.transports.command import CommandTransport
from tests.environments.environment import ask_nobody
from tests.rigs import opencode
from tests.rigs.availability import Unavailable, require
from tests.rigs.container import ContainerRig
from tests.rigs.docker import DockerEngine

NAME = "app"


class Box:
    """A container named app, and ways to look at it as ocattach does."""

    def __init__(self, container: ContainerRig) -> None:
        self.container = container

    @contextmanager
    def handler(self, **changes: Any) -> Iterator[CommandTransport]:
        """A handler for it; what it starts is ended."""
        spec = ConnectionSpec.from_entry({"transport": "docker", "container": NAME, **changes})
        with open_handler(spec, ask=ask_nobody, timeout=40) as handler:
            assert isinstance(handler, CommandTransport)
            yield handler

    def start(self, **changes: Any) -> DaemonStatus:
        """Start a daemon there, and end it."""
        with self.handler(**changes) as handler:
            status = handler.start_daemon()
            handler.stop_daemon()
        return status

    def program(self, **changes: Any) -> str | None:
        """Where OpenCode is found."""
        with self.handler(**changes) as handler:
            return handler.probe().opencode

    def write(self, path: str, content: bytes, *, mode: int = 0o755) -> None:
        """Have a file there."""
        file = self.container.path(path)
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(content)
        file.chmod(mode)

    def link(self, path: str, target: str) -> None:
        """Have a symbolic link there."""
        file = self.container.path(path)
        file.parent.mkdir(parents=True, exist_ok=True)
        file.symlink_to(target)


class MakeBox(Protocol):
    """Starts a container."""

    def __call__(
        self, variant: str = "minimal", *, mount: dict[str, str] | None = None, **more: Any
    ) -> AbstractContextManager[Box]:
        """A container of an image, with files of this machine in it, by their path there."""
        ...


@pytest.fixture
def box(docker_engine: DockerEngine, monkeypatch: pytest.MonkeyPatch) -> MakeBox:
    """Containers of the session's engine, which this process would use."""
    monkeypatch.setenv("DOCKER_HOST", docker_engine.url)

    @contextmanager
    def make(variant: str = "minimal", *, mount: dict[str, str] | None = None, **more: Any) -> Iterator[Box]:
        volumes = {source: {"bind": path, "mode": "ro"} for path, source in (mount or {}).items()}
        with docker_engine.container(NAME, variant=variant, volumes=volumes, **more) as container:
            yield Box(container)

    return make


@pytest.fixture
def stub_package() -> Path:
    """The npm package whose script did not run."""
    return _needed(opencode.stub_package)


@pytest.fixture
def musl_build() -> Path:
    """An OpenCode for musl, with its libraries."""
    return _needed(opencode.musl_build)


def _needed(find: Any) -> Path:
    with require("variants"):
        try:
            found: Path = find()
        except LookupError as reason:
            raise Unavailable(str(reason)) from None
    return found
