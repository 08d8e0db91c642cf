"""A container of a test engine, seen from outside and from inside."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

import docker.errors
from docker.models.containers import Container

from tests.rigs.directories import write_owned
from tests.rigs.images import HOMES, USER, USER_ID
from tests.rigs.model import ScriptedModel
from tests.rigs.namespaces import Confined, Network
from tests.rigs.opencode import CONFIG_PATH, MODEL_PORT


@dataclass(frozen=True, slots=True)
class Ran:
    """A command that ended in a container."""

    exit_code: int | None
    stdout: str
    stderr: str


class ContainerRig:
    """One container."""

    def __init__(self, container: Container, engine: Confined) -> None:
        self.container = container
        self._engine = engine
        self.model: ScriptedModel | None = None

    @property
    def name(self) -> str:
        return str(self.container.name)

    @property
    def process(self) -> Path:
        """The /proc directory of the container's first process, readable here."""
        self.container.reload()
        # dockerd counts processes within its own namespace, whose /proc is this one.
        return self._engine.path(f"/proc/{self.container.attrs['State']['Pid']}")

    @property
    def network(self) -> Network:
        return Network(self.process)

    def path(self, inside: str | PurePosixPath) -> Path:
        """A path of the running container, as one that can be opened here."""
        return self.process / "root" / str(inside).lstrip("/")

    def run(self, *argv: str, user: str = "", workdir: str | None = None) -> Ran:
        """Run a command inside to its end."""
        done = self.container.exec_run(list(argv), user=user, workdir=workdir, demux=True)
        stdout, stderr = done.output
        return Ran(done.exit_code, _text(stdout), _text(stderr))

    def start(self, argv: Sequence[str], *, user: str = "", workdir: str | None = None) -> None:
        """Start a command inside and leave it running."""
        self.container.exec_run(list(argv), user=user, workdir=workdir, detach=True)

    def write(self, path: str | PurePosixPath, text: str, *, user: str | None = None) -> None:
        """Write a file inside, with the missing folders on its way, as if the user had."""
        write_owned(self.path(path), text, owner=USER_ID if user in {USER, str(USER_ID)} else 0)

    def config_path(self, user: str | None = None) -> PurePosixPath:
        """Where a daemon of this user looks for its configuration."""
        home = HOMES[USER] if user in {USER, str(USER_ID)} else HOMES["root"]
        return PurePosixPath(home, CONFIG_PATH)

    @contextmanager
    def serve_model(self) -> Iterator[ScriptedModel]:
        """Have the scripted model on the container's loopback, where its configuration looks for it."""
        with ScriptedModel(MODEL_PORT, network=self.network) as model:
            self.model = model
            yield model

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
