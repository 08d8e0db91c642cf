"""This machine for a user who has nothing yet: an empty home, OpenCode on PATH, the model on a free port."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from tests.rigs.availability import Unavailable
from tests.rigs.model import ScriptedModel
from tests.rigs.namespaces import Network
from tests.rigs.opencode import CONFIG_PATH, ENVIRONMENT, opencode_bin, opencode_config

FOREIGN = ("OPENCODE", "OCATTACH", "XDG_", "DOCKER", "KUBE", "SSH_", "TMUX")
OWN = ("OCATTACH_TEST_RUN",)


@dataclass(frozen=True, slots=True)
class LocalMachine:
    """A home and what a program started in it gets."""

    home: Path
    workdir: Path
    environment: dict[str, str]
    """The whole environment for a program: give it as `env`."""
    model: ScriptedModel


@contextmanager
def local_machine(directory: Path, *, network: Network | None = None) -> Iterator[LocalMachine]:
    """Furnish a home below the directory, whose path has to be short; the model listens in the network."""
    home, workdir, programs = (directory / name for name in ("home", "work", "bin"))
    for folder in (home, workdir, programs, (home / CONFIG_PATH).parent):
        folder.mkdir(parents=True, exist_ok=True)
    try:
        (programs / "opencode").symlink_to(opencode_bin())
    except LookupError as reason:
        raise Unavailable(str(reason)) from None
    with ScriptedModel(network=network) as model:
        (home / CONFIG_PATH).write_text(opencode_config(model.port))
        yield LocalMachine(home, workdir, user_environment(home, programs), model)


def user_environment(home: Path, *path: Path) -> dict[str, str]:
    """An environment for a user at home there, without this process's own OpenCode, ssh or engine settings.

    ocattach's directories lie below the home, too.
    """
    inherited = {
        name: value for name, value in os.environ.items() if name in OWN or not name.startswith(FOREIGN)
    }
    folders = {
        "OCATTACH_CONFIG_DIR": home / "config",
        "OCATTACH_STATE_DIR": home / "state",
        "OCATTACH_RUNTIME_DIR": home / "run",
    }
    search = os.pathsep.join([*map(str, path), os.environ.get("PATH", os.defpath)])
    places = {name: str(folder) for name, folder in folders.items()}
    terminal = {"TERM": "xterm-256color", "LC_ALL": "C.UTF-8"}
    return {**inherited, **places, **ENVIRONMENT, **terminal, "HOME": str(home), "PATH": search}
