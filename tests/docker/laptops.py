"""How these tests make a connection without the command line."""

import json
import os
import subprocess
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from ocattach.config.spec import ConnectionSpec
from ocattach.config.targets.container import DockerTarget
from ocattach.transports import open_handler
from ocattach.transports.base import Ask
from ocattach.transports.command import CommandTransport
from ocattach.transports.containers.docker import DockerTransport
from tests.environments.environment import ask_nobody
from tests.rigs.availability import need

FRONTEND = DockerTarget(container="frontend-app")


class Laptop:
    """A user's docker configuration, written by the docker command line itself."""

    def __init__(self, home: Path) -> None:
        need("docker")
        self.home = home
        self.variables = {"HOME": str(home), "PATH": os.environ["PATH"]}

    def docker(self, *arguments: str, **variables: str) -> str:
        return subprocess.run(
            ["docker", *arguments],
            env={**self.variables, **variables},
            capture_output=True,
            text=True,
            check=True,
        ).stdout

    def engine_of_docker(self, variables: Mapping[str, str]) -> str:
        """The address that the docker command line would use."""
        listing = self.docker("context", "ls", "--format", "{{json .}}", **variables)
        contexts = [json.loads(line) for line in listing.splitlines()]
        return str(next(context["DockerEndpoint"] for context in contexts if context["Current"]))

    def engine_of_ours(self, variables: Mapping[str, str]) -> str:
        """The address that ocattach would use for a container's name."""
        environ = {**self.variables, **variables}
        spec = ConnectionSpec(target=FRONTEND.pinned(environ))
        with pytest.MonkeyPatch.context() as monkeypatch:
            for name in ("DOCKER_HOST", "DOCKER_CONTEXT", "DOCKER_CONFIG"):
                monkeypatch.delenv(name, raising=False)
            for name, value in environ.items():
                monkeypatch.setenv(name, value)
            return DockerTransport(spec, ask=ask_nobody).engine_address().url


def handler_for(container: str, *, ask: Ask = ask_nobody, **keys: Any) -> CommandTransport:
    """A handler for a container of an engine, by the keys of an entry and what this process's variables say."""
    spec = ConnectionSpec.from_entry({"transport": "docker", "container": container, **keys})
    handler = open_handler(spec.pinned(os.environ), ask=ask, timeout=20)
    assert isinstance(handler, CommandTransport)
    return handler
