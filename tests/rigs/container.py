"""A container of a test engine, seen from outside and from inside."""

from collections.abc import Sequence
from pathlib import Path

import docker.errors
from docker.models.containers import Container

from tests.rigs.furnished import Furnished, Ran
from tests.rigs.namespaces import Confined


class ContainerRig(Furnished):
    """One container."""

    def __init__(self, container: Container, engine: Confined) -> None:
        self.container = container
        self._engine = engine

    @property
    def name(self) -> str:
        return str(self.container.name)

    @property
    def process(self) -> Path:
        self.container.reload()
        # The engine counts processes within its own namespace, whose /proc is this one.
        return self._engine.path(f"/proc/{self.container.attrs['State']['Pid']}")

    def run(self, *argv: str, user: str = "", workdir: str | None = None) -> Ran:
        """Run a command inside to its end."""
        done = self.container.exec_run(list(argv), user=user, workdir=workdir, demux=True)
        stdout, stderr = done.output
        return Ran(done.exit_code, _text(stdout), _text(stderr))

    def start(self, argv: Sequence[str], *, user: str = "", workdir: str | None = None) -> None:
        """Start a command inside and leave it running."""
        self.container.exec_run(list(argv), user=user, workdir=workdir, detach=True)

    def remove(self) -> None:
        """End and forget the container. It may be gone already, and the engine too."""
        try:
            self.container.remove(force=True)
        except docker.errors.NotFound:
            pass
        except OSError as error:
            if not self._engine.has_ended():
                raise RuntimeError(f"could not remove {self.name}") from error


def _text(output: object) -> str:
    return output.decode(errors="replace") if isinstance(output, bytes) else ""
