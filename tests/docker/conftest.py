"""Engines that are reached in other ways than by a socket of this machine."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.docker.laptops import Laptop
from tests.rigs import links
from tests.rigs.availability import require
from tests.rigs.certificates import Authority
from tests.rigs.directories import short_directory
from tests.rigs.docker import DockerEngine

TLS_PORT = 2376
CABLES = ",".join(f"IP:{links.PREFIX}.{number}.2" for number in range(1, 255))
"""Which address it will be is known only once the engine runs."""


@dataclass(frozen=True, slots=True)
class RemoteEngine:
    """An engine on a machine of its own, which shares nothing with this one but a cable."""

    engine: DockerEngine
    address: str
    certificates: Path
    """What the engine accepts, as DOCKER_CERT_PATH wants it."""

    @property
    def url(self) -> str:
        return f"tcp://{self.address}:{TLS_PORT}"


@pytest.fixture(scope="package")
def remote_engine(opencode_bin: str) -> Iterator[RemoteEngine]:  # noqa: ARG001  containers mount it
    """dockerd behind TLS, which serves those alone whose certificate it trusts."""
    with require("docker"), short_directory() as directory:
        authority = Authority(directory / "ca", "ocattach tests")
        server = authority.sign(directory / "server", "engine", usage="serverAuth", addresses=CABLES)
        client = authority.sign(directory / "client", "laptop", usage="clientAuth")
        options = [
            *("--host", f"tcp://0.0.0.0:{TLS_PORT}", "--tlsverify", "--tlscacert", str(server / "ca.pem")),
            *("--tlscert", str(server / "cert.pem"), "--tlskey", str(server / "key.pem")),
        ]
        with DockerEngine(directory, options=options) as engine:
            cable = links.connect(engine.daemon)
            try:
                yield RemoteEngine(engine, cable.address, client)
            finally:
                cable.remove()


@pytest.fixture
def laptop(tmp_path: Path) -> Laptop:
    with require("docker"):
        laptop = Laptop(tmp_path)
    laptop.docker("context", "create", "staging", "--docker", "host=tcp://staging.example.com:2375")
    laptop.docker("context", "create", "vm", "--docker", "host=ssh://core@vm:2222")
    return laptop
