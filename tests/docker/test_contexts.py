"""Which engine is meant: ours and the docker command line's answer, side by side."""

from dataclasses import replace
from pathlib import Path

import pytest

from ocattach.config.spec import ConnectionSpec
from ocattach.errors import ConfigurationError, EnvironmentNotFoundError, UsageError
from tests.docker.conftest import RemoteEngine
from tests.docker.laptops import FRONTEND, Laptop, handler_for

SOCKET = "unix:///var/run/docker.sock"


@pytest.mark.parametrize(
    "variables",
    [
        {},
        {"DOCKER_HOST": "unix:///run/user/1000/docker.sock"},
        {"DOCKER_HOST": "tcp://engine.example.com:2375"},
        {"DOCKER_HOST": "ssh://core@vm"},
        {"DOCKER_CONTEXT": "staging"},
        {"DOCKER_CONTEXT": "vm"},
        {"DOCKER_CONTEXT": "default"},
        {"DOCKER_CONTEXT": "staging", "DOCKER_HOST": "tcp://engine.example.com:2375"},
        {"DOCKER_CONTEXT": "", "DOCKER_HOST": ""},
    ],
)
@pytest.mark.parametrize("chosen", ["default", "staging"])
def test_the_engine_is_the_one_that_docker_would_use(
    laptop: Laptop, chosen: str, variables: dict[str, str]
) -> None:
    laptop.docker("context", "use", chosen)

    assert laptop.engine_of_docker(variables) == laptop.engine_of_ours(variables)


def test_the_configuration_may_be_somewhere_else(laptop: Laptop, tmp_path: Path) -> None:
    elsewhere = {"DOCKER_CONFIG": str(tmp_path / "elsewhere")}
    laptop.docker("context", "create", "far", "--docker", "host=tcp://far.example.com:2375", **elsewhere)
    laptop.docker("context", "use", "far", **elsewhere)

    assert (
        laptop.engine_of_ours(elsewhere) == laptop.engine_of_docker(elsewhere) == "tcp://far.example.com:2375"
    )


@pytest.mark.parametrize(
    ("variables", "written"),
    [
        ({}, {"host": SOCKET}),
        ({"DOCKER_CONTEXT": "staging"}, {"context": "staging"}),
        ({"DOCKER_HOST": "ssh://core@vm"}, {"host": "ssh://core@vm"}),
        (
            {
                "DOCKER_HOST": "tcp://engine:2376",
                "DOCKER_TLS_VERIFY": "1",
                "DOCKER_CERT_PATH": "/home/me/certs",
            },
            {"host": "tcp://engine:2376", "cert_path": "/home/me/certs"},
        ),
    ],
)
def test_what_is_saved_means_the_same_engine_tomorrow(
    laptop: Laptop, variables: dict[str, str], written: dict[str, str]
) -> None:
    saved = FRONTEND.pinned({**laptop.variables, **variables})
    tomorrow = {**laptop.variables, "DOCKER_HOST": "tcp://elsewhere:2375", "DOCKER_CONTEXT": "vm"}

    assert saved.to_entry() == {"container": "frontend-app", **written}
    assert saved.pinned(tomorrow) == saved


def test_the_default_engine_is_not_shown_and_any_other_is() -> None:
    assert replace(FRONTEND, host=SOCKET).display("/app") == "docker://frontend-app:/app"
    assert replace(FRONTEND, context="staging").display() == "docker://frontend-app?context=staging"


def test_a_context_that_is_typed_takes_the_place_of_the_saved_engine() -> None:
    saved = replace(FRONTEND, host="tcp://engine:2376", cert_path="/home/me/certs")

    assert replace(FRONTEND, context="vm") == saved.with_options({"context": "vm"})


def test_two_engines_have_two_links(laptop: Laptop) -> None:
    one = ConnectionSpec(target=FRONTEND.pinned(laptop.variables))
    other = ConnectionSpec(target=FRONTEND.pinned({**laptop.variables, "DOCKER_CONTEXT": "vm"}))

    assert one.link_key() != other.link_key()


def test_a_variable_that_is_no_address_is_named(laptop: Laptop) -> None:
    with pytest.raises(UsageError, match="DOCKER_HOST"):
        FRONTEND.pinned({**laptop.variables, "DOCKER_HOST": "ftp://engine"})


def test_a_configuration_of_docker_that_cannot_be_read_is_named(
    laptop: Laptop, monkeypatch: pytest.MonkeyPatch
) -> None:
    (laptop.home / ".docker" / "config.json").write_text('{"currentContext": ')
    for name, value in laptop.variables.items():
        monkeypatch.setenv(name, value)

    with (
        pytest.raises(ConfigurationError, match=r"\.docker/config\.json"),
        handler_for("frontend-app") as handler,
    ):
        handler.check_available()


def test_a_context_that_is_not_there_is_named_with_how_to_list_them(
    laptop: Laptop, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in laptop.variables.items():
        monkeypatch.setenv(name, value)

    with (
        handler_for("frontend-app", context="gone") as handler,
        pytest.raises(EnvironmentNotFoundError) as raised,
    ):
        handler.check_available()

    assert "gone" in raised.value.message
    assert raised.value.hint == "List the contexts: docker context ls"


def test_a_context_with_certificates_leads_to_an_engine_behind_tls(
    laptop: Laptop, remote_engine: RemoteEngine, monkeypatch: pytest.MonkeyPatch
) -> None:
    at = remote_engine.certificates
    endpoint = f"host={remote_engine.url},ca={at}/ca.pem,cert={at}/cert.pem,key={at}/key.pem"
    laptop.docker("context", "create", "secure", "--docker", endpoint)
    for name, value in {**laptop.variables, "DOCKER_CONTEXT": "secure"}.items():
        monkeypatch.setenv(name, value)

    with remote_engine.engine.container("behind-tls"), handler_for("behind-tls") as handler:
        assert handler.check_available().summary == "Container is running"


def test_a_context_may_say_that_the_engine_is_not_to_be_verified(
    laptop: Laptop, remote_engine: RemoteEngine, monkeypatch: pytest.MonkeyPatch
) -> None:
    at = remote_engine.certificates
    endpoint = f"host={remote_engine.url},cert={at}/cert.pem,key={at}/key.pem,skip-tls-verify=true"
    laptop.docker("context", "create", "unverified", "--docker", endpoint)
    for name, value in {**laptop.variables, "DOCKER_CONTEXT": "unverified"}.items():
        monkeypatch.setenv(name, value)

    with remote_engine.engine.container("behind-tls"), handler_for("behind-tls") as handler:
        assert handler.check_available().summary == "Container is running"
