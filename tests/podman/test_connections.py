"""Which service is meant, where the user has only told podman."""

import json
import os
import subprocess
from collections.abc import Mapping
from pathlib import Path

import pytest

from ocattach.config.spec import ConnectionSpec
from ocattach.config.targets.container import PodmanTarget
from ocattach.config.targets.podman_config import read_connections
from ocattach.errors import EnvironmentNotFoundError, UsageError
from ocattach.transports import open_handler
from tests.environments.environment import ask_nobody
from tests.rigs.availability import need, require
from tests.rigs.local import user_environment
from tests.rigs.podman import PodmanEngine

WEB = PodmanTarget(container="web")


@pytest.fixture
def variables(workdir: Path) -> dict[str, str]:
    """A home without any podman settings, but that podman can write its own into."""
    with require("podman"):
        need("podman")
    file = workdir / "containers.conf"
    file.touch()
    inherited = user_environment(workdir)
    return {**inherited, "CONTAINERS_CONF": str(file), "PODMAN_CONNECTIONS_CONF": str(workdir / "none.json")}


def podman(variables: Mapping[str, str], *arguments: str) -> str:
    """What the real podman prints."""
    done = subprocess.run(
        ["podman", *arguments], env=variables, capture_output=True, text=True, timeout=30, check=False
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_connections_are_those_that_podman_lists(variables: dict[str, str]) -> None:
    podman(variables, "system", "connection", "add", "here", "unix:///run/other.sock")
    podman(variables, "system", "connection", "add", "there", "tcp://192.0.2.1:8080")
    podman(variables, "system", "connection", "default", "there")

    listed = json.loads(podman(variables, "system", "connection", "list", "--format", "json"))
    read = read_connections(variables)

    assert {entry["Name"]: entry["URI"] for entry in listed} == {
        name: destination.uri for name, destination in read.destinations.items()
    }
    assert [entry["Name"] for entry in listed if entry["Default"]] == [read.default]


def test_podman_5_keeps_its_connections_in_a_file_of_their_own(variables: dict[str, str]) -> None:
    podman(variables, "system", "connection", "add", "old", "unix:///run/old.sock")
    machine = {
        "URI": "ssh://core@127.0.0.1:53685/run/podman.sock",
        "Identity": "/home/me/machine",
        "IsMachine": True,
    }
    document = {"Connection": {"Default": "machine", "Connections": {"machine": machine}}}
    Path(variables["PODMAN_CONNECTIONS_CONF"]).write_text(json.dumps(document))

    read = read_connections(variables)

    assert read.default == "machine"
    assert read.destinations["machine"].identity == "/home/me/machine"
    assert [name for name, destination in read.destinations.items() if destination.is_machine] == ["machine"]
    assert set(read.destinations) == {"old", "machine"}


def test_a_users_files_are_read_where_no_variable_says_otherwise(variables: dict[str, str]) -> None:
    del variables["CONTAINERS_CONF"], variables["PODMAN_CONNECTIONS_CONF"]
    folder = Path(variables["HOME"], ".config/containers/containers.conf.d")
    folder.mkdir(parents=True)
    (folder.parent / "containers.conf").write_text('[engine]\nactive_service = "a"\n')
    (folder / "b.conf").write_text('[engine.service_destinations.a]\nuri = "unix:///run/a.sock"\n')

    read = read_connections(variables)

    assert (read.default, read.destinations["a"].uri) == ("a", "unix:///run/a.sock")


@pytest.mark.parametrize(
    ("changes", "settings"),
    [
        ({}, ""),
        ({"CONTAINER_HOST": "unix:///run/third.sock"}, ""),
        ({"CONTAINER_CONNECTION": "here"}, ""),
        ({"CONTAINER_HOST": ""}, ""),
        ({"CONTAINER_CONNECTION": ""}, ""),
        ({}, "remote = true"),
    ],
)
def test_the_default_connection_is_used_where_podman_is_remote_by_default(
    variables: dict[str, str], changes: dict[str, str], settings: str
) -> None:
    podman(variables, "system", "connection", "add", "here", "unix:///run/other.sock")
    file = Path(variables["CONTAINERS_CONF"])
    file.write_text(file.read_text().replace("[engine]", f"[engine]\n{settings}"))
    variables |= changes
    found = WEB.pinned(variables)

    is_local = "--cgroup-manager" in podman(variables, "--help")  # an option that only a local podman has
    assert (found == WEB) == is_local
    if not is_local:
        host = changes.get("CONTAINER_HOST") or None
        assert (found.host, found.context) == (host, None if host else "here")


def test_the_default_connection_is_used_where_there_is_no_podman(variables: dict[str, str]) -> None:
    podman(variables, "system", "connection", "add", "here", "unix:///run/other.sock")

    assert WEB.pinned({**variables, "PATH": variables["HOME"]}).context == "here"


def test_a_saved_connection_means_the_same_when_the_settings_have_changed(variables: dict[str, str]) -> None:
    assert WEB.pinned(variables) == WEB

    podman(variables, "system", "connection", "add", "here", "unix:///run/other.sock")
    variables["CONTAINER_CONNECTION"] = "here"
    assert WEB.pinned(variables).context == "here"

    variables["CONTAINER_HOST"] = "unix:///run/third.sock"
    settled = WEB.pinned(variables)
    assert settled.host == "unix:///run/third.sock"
    del variables["CONTAINER_HOST"]
    assert settled.pinned(variables) == settled


def test_a_variable_that_is_no_address_is_named(variables: dict[str, str]) -> None:
    variables["CONTAINER_HOST"] = "/run/podman.sock"

    with pytest.raises(UsageError, match="CONTAINER_HOST"):
        WEB.pinned(variables)


def test_settings_that_podman_cannot_read_either_are_no_reason_to_fail(variables: dict[str, str]) -> None:
    Path(variables["CONTAINERS_CONF"]).write_text('[engine]\nactive_service = "')
    Path(variables["PODMAN_CONNECTIONS_CONF"]).write_text("[1]")

    assert WEB.pinned(variables) == WEB


def test_a_container_is_reached_by_the_name_of_its_service(
    podman_engine: PodmanEngine, variables: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    podman(variables, "system", "connection", "add", "rig", podman_engine.url)
    for name in {*os.environ} | {*variables}:
        monkeypatch.setenv(name, variables[name]) if name in variables else monkeypatch.delenv(name)
    spec = ConnectionSpec(target=PodmanTarget(container="named", context="rig"))

    with (
        podman_engine.container("named", opencode=False),
        open_handler(spec, ask=ask_nobody, timeout=30) as handler,
    ):
        assert handler.check_available().summary == "Container is running"


def test_a_connection_that_podman_does_not_know_is_told(
    variables: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CONTAINERS_CONF", variables["CONTAINERS_CONF"])
    spec = ConnectionSpec(target=PodmanTarget(container="web", context="rgi"))

    with (
        open_handler(spec, ask=ask_nobody, timeout=30) as handler,
        pytest.raises(EnvironmentNotFoundError, match="rgi") as caught,
    ):
        handler.check_available()
    assert "podman system connection list" in caught.value.hint
