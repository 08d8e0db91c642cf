"""What a test does in a container of whatever engine, seen from outside."""

from abc import ABC, abstractmethod
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from tests.rigs.directories import write_owned
from tests.rigs.images import HOMES, USER, USER_ID
from tests.rigs.model import ScriptedModel
from tests.rigs.namespaces import Network
from tests.rigs.opencode import CONFIG_PATH, MODEL_PORT


@dataclass(frozen=True, slots=True)
class Ran:
    """A command that ended in a container."""

    exit_code: int | None
    stdout: str
    stderr: str


class Furnished(ABC):
    """One container, by its first process."""

    model: ScriptedModel | None = None

    @property
    @abstractmethod
    def process(self) -> Path:
        """The /proc directory of the container's first process, readable here."""

    @property
    def network(self) -> Network:
        return Network(self.process)

    def path(self, inside: str | PurePosixPath) -> Path:
        """A path of the running container, as one that can be opened here."""
        return self.process / "root" / str(inside).lstrip("/")

    def write(self, path: str | PurePosixPath, text: str, *, user: str | None = None) -> None:
        """Write a file inside, with the missing folders on its way, as if the user had."""
        inside = USER_ID if user in {USER, str(USER_ID)} else 0
        write_owned(self.path(path), text, owner=self.outside(inside))

    def outside(self, inside: int) -> int:
        """The number that a user of the container has on this machine: another one in a user namespace."""
        for line in (self.process / "uid_map").read_text().splitlines():
            first, there, count = map(int, line.split())
            if first <= inside < first + count:
                return there + inside - first
        raise LookupError(f"no user {inside} in the container")

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
