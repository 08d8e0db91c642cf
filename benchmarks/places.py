"""Where it is measured: the tests' real engines, each with one environment and a user's laptop in front of it."""

import http.client
import json
import shlex
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self, cast

from tests.environments import ENVIRONMENTS, Environment
from tests.main_job.laptop import Laptop
from tests.rigs.availability import Unavailable
from tests.rigs.directories import short_directory
from tests.rigs.docker import DockerEngine
from tests.rigs.kubernetes import KubernetesCluster
from tests.rigs.opencode import opencode_bin
from tests.rigs.podman import PodmanEngine
from tests.rigs.ssh import SSHMachines

if TYPE_CHECKING:
    import pytest

SCRIPT = Path(sys.executable).with_name("ocattach")
OCATTACH = [str(SCRIPT)] if SCRIPT.exists() else [sys.executable, "-m", "ocattach"]
NAME = "frontend"
"""The saved connection to every environment."""

SECONDS = 120

ENGINES: Mapping[str, Callable[[Path], AbstractContextManager[object]]] = {
    "docker_engine": DockerEngine,
    "kubernetes_cluster": KubernetesCluster,
    "podman_engine": PodmanEngine,
    "ssh_machines": lambda directory: SSHMachines(directory, ["main"]),
}
"""By the name of the tests' fixture; each keeps all that it has below a directory."""

EXEC = {
    "docker": "docker exec {option} {target}",
    "k8s": "kubectl exec {option} {target} --",
    "podman": "podman exec {option} {target}",
    "ssh": "ssh {target}",
}
"""What a person types before a command for an environment to run."""


@dataclass(frozen=True, slots=True)
class Place:
    """An environment, and the laptop from which it is used."""

    scheme: str
    environment: Environment
    laptop: Laptop

    @property
    def target(self) -> str:
        """The container's, host's or pod's name, as `docker exec`, `ssh` and `kubectl exec` take it."""
        named = (self.environment.entry.get(key) for key in ("container", "host", "pod"))
        return str(next(filter(None, named), ""))

    def exec(self, *argv: str, stdin: bool = False) -> list[str]:
        """The command that runs one in the environment, by hand; it has no input unless asked."""
        begin = EXEC[self.scheme].format(option="-i" if stdin else "", target=self.target).split()
        return [*begin, shlex.join(argv)] if self.scheme == "ssh" else [*begin, *argv]

    def run(self, argv: Sequence[str], *, stdin: str = "", variables: Mapping[str, str] | None = None) -> str:
        """What a command prints on the laptop. Raises RuntimeError with its words when it fails."""
        done = subprocess.run(
            list(argv),
            input=stdin,
            capture_output=True,
            text=True,
            timeout=SECONDS,
            check=False,
            env={**self.environment.variables, **(variables or {})},
            cwd=self.laptop.cwd,
        )
        if done.returncode:
            raise RuntimeError(f"{argv[0]} gave {done.returncode}: {done.stderr or done.stdout}")
        return done.stdout

    def ocattach(self, *arguments: str, variables: Mapping[str, str] | None = None) -> str:
        """What `ocattach` prints."""
        return self.run([*OCATTACH, *arguments], variables=variables)

    def connect(self) -> dict[str, Any]:
        """A live link to a running daemon; what `--print-url -o json` says of it."""
        document: dict[str, Any] = json.loads(self.ocattach(NAME, "--print-url", "-o", "json"))
        return document

    def disconnect(self) -> None:
        """End the link; the daemon stays."""
        self.ocattach(NAME, "--disconnect")

    def stop(self) -> None:
        """End the daemon and the link."""
        self.ocattach(NAME, "--stop")

    def request(self, port: int, path: str, *, authorization: str = "") -> None:
        """One successful request to a daemon, made inside the environment, past engine and tunnel."""
        connection = http.client.HTTPConnection("127.0.0.1", port)
        try:
            connection.sock = self.environment.network.dial(port, timeout=5)
            connection.request("GET", path, headers={"Authorization": authorization} if authorization else {})
            response = connection.getresponse()
            response.read()
            if response.status != http.client.OK:
                raise RuntimeError(f"GET {path} gave {response.status}")
        finally:
            connection.close()


class Places:
    """The places of one run, each made when it is first asked for. All end with it."""

    def __init__(self) -> None:
        self._stack = ExitStack()
        self._places: dict[str, Place] = {}
        self._engines: dict[str, object] = {}
        self.missing: dict[str, str] = {}
        """What this machine cannot have, and why."""

    def __getitem__(self, scheme: str) -> Place:
        if scheme not in ENVIRONMENTS:
            raise Unavailable("it has no environment yet")
        if scheme not in self._places:
            # All that the environments ask of pytest is an engine by the name of its fixture.
            request = cast("pytest.FixtureRequest", self)
            environment = self._stack.enter_context(ENVIRONMENTS[scheme](request))
            laptop = Laptop(environment)
            self._stack.callback(laptop.end_links)
            place = Place(scheme, environment, laptop)
            place.ocattach("--save", NAME, f"{scheme}://{place.target}", "--workdir", environment.workdir)
            self._places[scheme] = place
        return self._places[scheme]

    def available(self, *schemes: str) -> Iterator[Place]:
        """Those of the places that this machine can have."""
        for scheme in schemes:
            try:
                yield self[scheme]
            except Unavailable as reason:
                self.missing[scheme] = str(reason)

    def getfixturevalue(self, name: str) -> object:
        """An engine, by the name of the tests' fixture."""
        if name not in self._engines:
            self._engines[name] = self._make(name)
        return self._engines[name]

    def _make(self, name: str) -> object:
        try:
            program = opencode_bin()
        except LookupError as reason:
            raise Unavailable(str(reason)) from None
        if name == "opencode_bin":
            return program
        directory = self._stack.enter_context(short_directory())
        return self._stack.enter_context(ENGINES[name](directory))

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._stack.close()


def milliseconds(started: float) -> float:
    """The time since then, by time.perf_counter."""
    return (time.perf_counter() - started) * 1000
