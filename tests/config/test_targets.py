from pathlib import Path

import pytest
from hypothesis import given

from ocattach.config.targets.base import Target
from ocattach.config.targets.container import DockerTarget
from ocattach.config.targets.http import HTTPTarget
from ocattach.config.targets.kubernetes import KubernetesTarget
from ocattach.config.targets.local import LocalTarget
from ocattach.config.targets.registry import target_class, transports
from ocattach.config.targets.ssh import SSHTarget
from ocattach.errors import UsageError
from ocattach.transports import handler_class
from tests.config.strategies import guarded_daemons, targets


@given(targets | guarded_daemons)
def test_an_entry_makes_the_target_it_came_from(target: Target) -> None:
    assert type(target).from_entry(target.to_entry()) == target


@pytest.mark.parametrize(
    "name", ["-v", "", "a b", "a;b", "a$b", "a\nb", "a\0b", "`id`", "é", ".hidden", "a/b", "a|b"]
)
def test_names_that_an_engine_or_shell_would_misread_are_refused(name: str) -> None:
    for make in (
        lambda: DockerTarget(container=name),
        lambda: DockerTarget(compose_project=name, compose_service="api"),
        lambda: DockerTarget(compose_project="shop", compose_service=name),
        lambda: DockerTarget(container="c", user=name),
        lambda: SSHTarget(name),
        lambda: SSHTarget("h", user=name),
        lambda: SSHTarget("h", jump=name),
        lambda: KubernetesTarget(pod=name),
        lambda: KubernetesTarget(deployment=name),
        lambda: KubernetesTarget(pod="p", namespace=name),
        lambda: KubernetesTarget(pod="p", container=name),
    ):
        with pytest.raises(UsageError):
            make()


@pytest.mark.parametrize("port", [-1, 0, 65536])
def test_a_port_is_a_port(port: int) -> None:
    with pytest.raises(UsageError, match="not between 1 and 65535"):
        SSHTarget("h", port=port)


def test_a_container_is_named_in_one_way() -> None:
    with pytest.raises(UsageError, match="cannot be used together"):
        DockerTarget(container="c", compose_project="p", compose_service="s")
    with pytest.raises(
        UsageError, match="requires container, compose with project and service, or devcontainer"
    ):
        DockerTarget(compose_project="p")


def test_a_pod_is_named_in_one_way() -> None:
    with pytest.raises(UsageError, match="pod and deployment cannot"):
        KubernetesTarget(pod="p", deployment="d")
    with pytest.raises(UsageError, match="k8s requires one of pod"):
        KubernetesTarget(namespace="n")


@pytest.mark.parametrize(
    "url",
    [
        "",
        "localhost:4096",
        "ftp://h",
        "http://",
        "http://h?x=1",
        "http://h#x",
        "http://me@h",
        "http://h/a b",
        "http://h:x",
    ],
)
def test_a_url_is_one_of_a_daemon(url: str) -> None:
    with pytest.raises(UsageError):
        HTTPTarget(url)


def test_one_daemon_has_one_spelling() -> None:
    assert HTTPTarget("HTTP://LocalHost:4096/") == HTTPTarget("http://localhost:4096")


def test_a_header_cannot_begin_another() -> None:
    with pytest.raises(UsageError, match=r"headers: X"):
        HTTPTarget("http://h", headers=(("X", "a\r\nY: b"),))
    with pytest.raises(UsageError, match="not a valid header name"):
        HTTPTarget("http://h", headers=(("X: a\r\nY", "b"),))


def test_headers_and_commands_are_in_no_uri_and_headers_in_no_traceback() -> None:
    target = HTTPTarget("http://h", headers=(("X-Token", "s3cret"),), password_command=("pass", "show", "oc"))

    assert target.uri("/app") == "http://h?workdir=/app"
    assert "s3cret" not in repr(target)


def test_only_local_knows_a_directory_by_itself() -> None:
    assert LocalTarget().default_workdir(Path("/src/shop")) == "/src/shop"
    assert DockerTarget(container="c").default_workdir(Path("/src/shop")) is None


@pytest.mark.parametrize("scheme", transports())
def test_each_transport_has_its_classes(scheme: str) -> None:
    assert target_class(scheme).scheme == scheme
    assert handler_class(scheme).scheme == scheme


def test_an_unknown_transport_is_refused_with_the_closest() -> None:
    with pytest.raises(UsageError) as raised:
        target_class("dcoker")

    assert raised.value.hint == "Did you mean docker?"


def test_an_unlike_transport_is_refused_with_all_there_are() -> None:
    with pytest.raises(UsageError) as raised:
        target_class("xyzzy")

    for scheme in transports():
        assert scheme in raised.value.hint


@pytest.mark.parametrize(
    ("key", "value", "words"),
    [
        ("headers", {"Content-Length": "5"}, "set by each request"),
        ("headers", {"transfer-encoding": "chunked"}, "set by each request"),
        ("headers", {"X-Token": "é"}, "ASCII"),
        ("ca_file", "ca.pem", "not absolute"),
        ("ca_file", "/ca\n.pem", "contains"),
        ("allow_plain_password", "yes", "true or false"),
    ],
)
def test_what_a_url_cannot_be_asked_with_is_refused(key: str, value: object, words: str) -> None:
    with pytest.raises(UsageError, match=words):
        HTTPTarget.from_entry({"url": "https://h", key: value})


def test_a_ca_file_is_for_https() -> None:
    with pytest.raises(UsageError, match="cannot be used with http:"):
        HTTPTarget("http://h", ca_file="/ca.pem")


def test_only_headers_take_a_link() -> None:
    plain = HTTPTarget("https://h/base", username="me", ca_file="/ca.pem", password_env="P")

    assert not plain.needs_link
    assert HTTPTarget("https://h", headers=(("X", "y"),)).needs_link
    assert LocalTarget().needs_link
