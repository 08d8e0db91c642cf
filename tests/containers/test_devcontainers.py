"""The dev container of a folder, by the labels that @devcontainers/cli (0.89) and VS Code put on it."""

import json
import os
import subprocess
from collections.abc import Mapping
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any

import pytest

from ocattach.errors import AuthenticationError, EnvironmentNotFoundError, EnvironmentNotRunningError
from ocattach.transports.base import Question
from ocattach.transports.containers.devcontainer import FOLDER_LABEL, METADATA_LABEL, local_folder
from tests.containers.conftest import Place
from tests.environments.environment import ask_nobody
from tests.rigs.availability import Unavailable, require
from tests.rigs.container import ContainerRig
from tests.rigs.docker import DockerEngine
from tests.rigs.images import USER, reference
from tests.rigs.opencode import CHECKOUT, opencode_bin

IMAGE = {"remoteUser": "root", "remoteEnv": {"OLD": "image", "KEPT": "image"}}
PROJECT: dict[str, Any] = {
    "remoteUser": USER,
    "containerEnv": {"GIVEN": "there"},
    "remoteEnv": {
        "OLD": "project",
        "FROM_THERE": "${containerEnv:GIVEN}-${containerEnv:NOT_THERE:default}",
        "FROM_HERE": "${localEnv:DC_TOKEN:none}",
        "FOLDERS": "${localWorkspaceFolderBasename} ${containerWorkspaceFolder}",
        "TERM_PROGRAM": None,
        "OCATTACH_ORIGIN": "forged",
        "bad-name": "x",
        "LINES": "a\nb",
    },
}


@pytest.fixture
def folder(place: Place, request: pytest.FixtureRequest) -> Path:
    """A folder that the engine can mount."""
    path: Path = place.engine.directory / request.node.name.partition("[")[0][-20:] / "shop"
    (path / "web").mkdir(parents=True, exist_ok=True)
    return path


def dev_container(
    place: Place, folder: Path, *metadata: Mapping[str, Any], name: str = "dev-app", **settings: Any
) -> AbstractContextManager[ContainerRig]:
    """A container as `devcontainer up` starts it."""
    labels = {FOLDER_LABEL: str(folder), METADATA_LABEL: json.dumps(metadata)}
    return place.engine.container(
        name,
        labels=labels,
        volumes={str(folder): {"bind": "/workspaces/shop", "mode": "rw"}},
        environment={"GIVEN": "there", "TERM_PROGRAM": "image"},
        **settings,
    )


def test_user_folder_and_variables_are_those_of_the_metadata(
    place: Place, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DC_TOKEN", "value-of-mine")
    with (
        dev_container(place, folder, IMAGE, PROJECT, opencode=False),
        place.handler(devcontainer=str(folder)) as handler,
    ):
        assert handler.check_available().summary == (
            f"Container dev-app is running, the dev container of {folder}"
        )
        assert handler.run(["sh", "-c", "id -un"], timeout=60).stdout == f"{USER}\n".encode()
        handler.check_daemon_running()
        assert handler.workdir == "/workspaces/shop"

        settings = handler.settings

    assert dict(settings.env) == {
        "OLD": "project",
        "KEPT": "image",
        "FROM_THERE": "there-default",
        "FROM_HERE": "none",
        "FOLDERS": "shop /workspaces/shop",
        "LINES": "a\nb",
    }
    assert settings.unset_env == ("TERM_PROGRAM",)


def test_a_daemon_gets_what_the_connection_allows_and_says_first(
    place: Place, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DC_TOKEN", "value-of-mine")
    monkeypatch.setenv("DC_OTHER", "kept-from-it")
    notices: list[str] = []

    def ask(question: Question) -> str:
        notices.append(question.text if question.notice else ask_nobody(question))
        return ""

    remote = {**PROJECT["remoteEnv"], "OTHER": "a${localEnv:DC_OTHER}"}
    connection: dict[str, Any] = {
        "user": "root",
        "workdir": "/root",
        "env": {"KEPT": "own"},
        "local_env": ["DC_TOKEN"],
    }
    with (
        dev_container(place, folder, IMAGE, {**PROJECT, "remoteEnv": remote}) as rig,
        place.handler(devcontainer=str(folder), **connection) as handler,
    ):
        handler.ask = ask
        daemon = handler.start_daemon().daemon
        assert daemon is not None
        text = rig.run("cat", f"/proc/{daemon.pid}/environ").stdout
        directory = rig.run("readlink", f"/proc/{daemon.pid}/cwd").stdout.strip()

    found = dict(entry.partition("=")[::2] for entry in text.split("\0") if entry)
    wanted = {"HOME": "/root", "KEPT": "own", "OLD": "project", "FROM_HERE": "value-of-mine", "OTHER": "a"}
    assert {name: found.get(name) for name in wanted} == wanted
    assert not {"TERM_PROGRAM", "DC_TOKEN", "DC_OTHER"} & found.keys()
    assert directory == "/root"
    assert [notice.partition(".")[0] for notice in notices] == ["Not passed to the dev container: DC_OTHER"]


def test_a_folder_below_the_one_that_is_mounted(place: Place, folder: Path) -> None:
    web = folder / "web"
    labels = {FOLDER_LABEL: str(web), METADATA_LABEL: json.dumps({"remoteUser": USER})}
    mounts = {str(folder): {"bind": "/workspaces/shop", "mode": "rw"}}
    link = folder.parent / "link"
    link.unlink(missing_ok=True)
    link.symlink_to(folder)
    with (
        place.engine.container("dev-app", labels=labels, volumes=mounts, opencode=False),
        place.handler(devcontainer=str(link / "web")) as handler,
    ):
        handler.check_daemon_running()

        assert handler.user == USER
        assert handler.workdir == "/workspaces/shop/web"


IN_WSL = {
    r"\\wsl.localhost\Debian\home\me\shop": "/home/me/shop",
    r"\\wsl$\debian\home\me\shop": "/home/me/shop",
    r"c:\Users\me\shop": "/mnt/c/Users/me/shop",
}


@pytest.mark.parametrize("label", IN_WSL)
def test_in_wsl_the_label_may_have_a_name_of_windows(
    place: Place, folder: Path, monkeypatch: pytest.MonkeyPatch, label: str
) -> None:
    """As VS Code on Windows writes it. Docker Desktop's mounts are those of its virtual machine."""
    mounts = {str(folder): {"bind": "/workspaces/shop", "mode": "rw"}}
    with place.engine.container("dev-app", labels={FOLDER_LABEL: label}, volumes=mounts, opencode=False):
        monkeypatch.setenv("WSL_DISTRO_NAME", "Debian")
        with place.handler(devcontainer=IN_WSL[label]) as handler:
            handler.check_daemon_running()
            assert handler.workdir == "/workspaces/shop"

        monkeypatch.delenv("WSL_DISTRO_NAME")
        with place.handler(devcontainer=IN_WSL[label]) as handler, pytest.raises(EnvironmentNotFoundError):
            handler.check_available()


def test_a_folder_of_another_distribution_is_not_one_of_this() -> None:
    labels = {FOLDER_LABEL: r"\\wsl.localhost\Ubuntu\home\me\shop"}

    assert local_folder(labels, {"WSL_DISTRO_NAME": "Debian"}) == labels[FOLDER_LABEL]


def test_of_a_stopped_and_a_running_one_the_latter_is_taken(place: Place, folder: Path) -> None:
    with (
        dev_container(place, folder, name="dev-old", opencode=False) as old,
        dev_container(place, folder, name="dev-new", opencode=False),
        dev_container(place, folder / "web", name="dev-web", opencode=False),
    ):
        old.container.stop(timeout=0)
        with place.handler(devcontainer=str(folder)) as handler:
            assert handler.check_available().summary == (
                f"Container dev-new is running, one of 2 dev containers of {folder}"
            )


def test_none_is_running(place: Place, folder: Path) -> None:
    path = "" if place.scheme == "docker" else "--docker-path podman "
    hint = f"Start one: devcontainer up {path}--workspace-folder {folder}"
    with (
        place.handler(devcontainer=str(folder)) as handler,
        pytest.raises(EnvironmentNotFoundError, match=f"has no dev container of {folder}") as caught,
    ):
        handler.check_available()
    assert caught.value.hint == hint

    only = folder / ".devcontainer/python/devcontainer.json"
    only.parent.mkdir(parents=True)
    only.touch()
    with (
        place.handler(devcontainer=str(folder)) as handler,
        pytest.raises(EnvironmentNotFoundError) as another,
    ):
        handler.check_available()
    assert another.value.hint == f"{hint} --config {only}"
    only.unlink()

    with (
        dev_container(place, folder, opencode=False) as rig,
        place.handler(devcontainer=str(folder)) as handler,
    ):
        rig.container.stop(timeout=0)
        with pytest.raises(EnvironmentNotRunningError, match="Container dev-app is not running") as stopped:
            handler.check_available()
    assert stopped.value.hint == hint


@pytest.mark.parametrize("label", ["", "{", "[" * 5000, "null", '[1, {"remoteEnv": [], "remoteUser": 7}]'])
def test_metadata_that_is_not_valid_says_nothing(place: Place, folder: Path, label: str) -> None:
    labels = {FOLDER_LABEL: str(folder), METADATA_LABEL: label}
    with (
        place.engine.container("dev-app", labels=labels, opencode=False),
        place.handler(devcontainer=str(folder)) as handler,
    ):
        assert handler.run(["id", "-u"], timeout=60).stdout == b"0\n"
        assert handler.settings.env == ()


def test_a_remote_user_that_the_container_does_not_have_is_named(place: Place, folder: Path) -> None:
    with (
        dev_container(place, folder, {"remoteUser": "vscode"}, opencode=False),
        place.handler(devcontainer=str(folder)) as handler,
        pytest.raises(AuthenticationError, match="No user vscode"),
    ):
        handler.check_daemon_running()


def devcontainer_up(engine: DockerEngine, folder: Path) -> None:
    """Have the real command line make a dev container, run by OpenCode's own Bun."""
    program = CHECKOUT / ".tools/devcontainers/devcontainer.js"
    with require("devcontainers"):
        if not program.exists():
            raise Unavailable(f"no {program}: scripts/install-npm-packages")
    own = {"DOCKER_HOST": engine.url, "HOME": str(folder.parent), "BUN_BE_BUN": "1"}
    argv = [opencode_bin(), str(program), "up", "--workspace-folder", str(folder)]
    argv += ["--update-remote-user-uid-default", "off"]
    subprocess.run(argv, env={**os.environ, **own}, capture_output=True, check=True, timeout=60)


def test_the_container_that_devcontainer_up_makes_is_found(docker_engine: DockerEngine) -> None:
    """Docker alone: as root it starts none with podman ("keep-id is only supported in rootless mode")."""
    docker = Place("docker", docker_engine)
    folder = docker_engine.directory / "made" / "shop"
    folder.mkdir(parents=True)
    with docker_engine.container("first-app", variant="minimal", opencode=False):
        pass  # the engine has the image now
    content = {
        "image": reference("minimal"),
        "remoteUser": USER,
        "remoteEnv": {"FROM": "${localWorkspaceFolderBasename}"},
    }
    (folder / ".devcontainer.json").write_text(json.dumps(content))
    devcontainer_up(docker_engine, folder)
    try:
        with docker.handler(devcontainer=str(folder)) as handler:
            handler.check_daemon_running()
            assert (handler.user, handler.workdir) == (USER, "/workspaces/shop")
            assert handler.settings.env == (("FROM", "shop"),)
    finally:
        for made in docker_engine.client.containers.list(filters={"label": f"{FOLDER_LABEL}={folder}"}):
            made.remove(force=True)
