"""Odd files of docker and podman: what needs them says which file and key, and everything else goes on."""

import os
import signal
from collections.abc import Iterator
from hashlib import sha256
from pathlib import Path

import pytest

from ocattach.config.targets.container import DockerTarget, PodmanTarget
from ocattach.config.targets.docker_config import current_context, read_context
from ocattach.config.targets.podman_config import read_connections
from ocattach.errors import ConfigurationError

SECRET = "s3cr3t"
DIRECTORY, FIFO = object(), object()
NOT_FILES = [DIRECTORY, FIFO]
NOT_JSON = [
    *NOT_FILES,
    b"{",
    b"\xff\xfe",
    b"\0",
    b"[" * 100_000,
    b" " * 2_000_000,
    f'{{"a": "{SECRET}"'.encode(),
]


@pytest.fixture(autouse=True)
def _alarm() -> Iterator[None]:
    """A reader that waits for a writer ends."""
    signal.alarm(20)
    yield
    signal.alarm(0)


def put(path: Path, content: object) -> Path:
    """Make a file, or what is none."""
    path.parent.mkdir(parents=True, exist_ok=True)
    if content is DIRECTORY:
        path.mkdir()
    elif content is FIFO:
        os.mkfifo(path)
    else:
        assert isinstance(content, bytes)
        path.write_bytes(content)
    return path


def check(error: ConfigurationError, path: Path) -> None:
    assert str(path) in error.message
    assert "\n" not in error.message
    assert SECRET not in error.message + error.hint


@pytest.mark.parametrize(
    "content",
    [
        *NOT_JSON,
        b"[1]",
        b'{"currentContext": 5}',
        b'{"currentContext": ["s3cr3t"]}',
        b'{"currentContext": "s3cr3t /"}',
    ],
)
def test_dockers_configuration_fails_what_needs_the_context_and_nothing_else(
    tmp_path: Path, content: object
) -> None:
    variables = {"DOCKER_CONFIG": str(tmp_path)}
    path = put(tmp_path / "config.json", content)

    assert DockerTarget(container="c").pinned(variables) == DockerTarget(container="c")
    named = DockerTarget(container="c").pinned({**variables, "DOCKER_HOST": "unix:///run/x.sock"})
    assert named.host == "unix:///run/x.sock"
    with pytest.raises(ConfigurationError) as caught:
        current_context(variables)
    check(caught.value, path)


@pytest.mark.parametrize(
    "content",
    [
        None,
        b"",
        b"null",
        b"{}",
        b'\xef\xbb\xbf{"credHelpers": {"a": 1}}',
        b'{"auths": []}\r\n',
        b'{"currentContext": null}',
    ],
)
def test_dockers_configuration_without_a_context_means_the_default(
    tmp_path: Path, content: bytes | None
) -> None:
    if content is not None:
        put(tmp_path / "config.json", content)

    assert current_context({"DOCKER_CONFIG": str(tmp_path)}) is None


@pytest.mark.parametrize(
    "content",
    [
        *NOT_JSON,
        b"5",
        b'{"Endpoints": "s3cr3t"}',
        b'{"Endpoints": {"docker": []}}',
        b'{"Endpoints": {"docker": {"Host": 5}}}',
    ],
)
def test_a_docker_context_that_cannot_be_read_is_named_by_its_file(tmp_path: Path, content: object) -> None:
    path = put(tmp_path / "contexts/meta" / sha256(b"far").hexdigest() / "meta.json", content)

    with pytest.raises(ConfigurationError) as caught:
        read_context("far", {"DOCKER_CONFIG": str(tmp_path)})
    check(caught.value, path)


@pytest.mark.parametrize(
    "content",
    [
        *NOT_FILES,
        b"\xff service",
        b"service" * 200_000,
        b'[engine]\nactive_service = "s3cr3t',
        b"service = " + b"[" * 50_000,
        b'engine = "service"',
        b"[engine]\nactive_service = 5",
        b"[engine]\nservice_destinations = [1]",
        b'[engine]\nremote = "s3cr3t"',
    ],
)
@pytest.mark.parametrize("remote", [{}, {"CONTAINER_HOST": ""}])
def test_podmans_configuration_fails_what_needs_a_connection(
    tmp_path: Path, content: object, remote: dict[str, str]
) -> None:
    path = put(tmp_path / "containers.conf", content)
    variables = {"CONTAINERS_CONF": str(path), "HOME": str(tmp_path), **remote}

    assert PodmanTarget(container="c").pinned(variables) == PodmanTarget(container="c")
    with pytest.raises(ConfigurationError) as caught:
        read_connections(variables)
    check(caught.value, path)


@pytest.mark.parametrize(
    "content",
    [
        *NOT_JSON,
        b"[1]",
        b'{"Connection": 1}',
        b'{"Connection": {"Default": 1}}',
        b'{"Connection": {"Connections": [1]}}',
    ],
)
def test_podmans_connections_fail_what_needs_one(tmp_path: Path, content: object) -> None:
    path = put(tmp_path / "connections.json", content)
    empty = put(tmp_path / "containers.conf", b"")
    variables = {"CONTAINERS_CONF": str(empty), "PODMAN_CONNECTIONS_CONF": str(path)}

    assert PodmanTarget(container="c").pinned(variables) == PodmanTarget(container="c")
    with pytest.raises(ConfigurationError) as caught:
        read_connections(variables)
    check(caught.value, path)


def test_one_odd_connection_of_podmans_does_not_hide_the_others(tmp_path: Path) -> None:
    path = put(
        tmp_path / "connections.json",
        b'{"Connection": {"Connections": {"a": null, "b": {"URI": 5}, "c": {"URI": "unix:///c"}}}}',
    )
    empty = put(tmp_path / "containers.conf", b"")

    found = read_connections({"CONTAINERS_CONF": str(empty), "PODMAN_CONNECTIONS_CONF": str(path)})
    assert list(found.destinations) == ["c"]
