"""Paths mean the same in a link, which runs in /, as in the shell where they were typed."""

from pathlib import Path

import pytest

from ocattach.config.spec import ConnectionSpec
from ocattach.config.targets.uri import parse_uri
from ocattach.config.variables import absolute, absolute_variables
from ocattach.errors import UsageError


@pytest.fixture(autouse=True)
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.mark.parametrize(
    ("name", "value", "meaning"),
    [
        ("KUBECONFIG", "./kube.yaml", "{}/kube.yaml"),
        ("KUBECONFIG", "kube.yaml:/etc/kube.yaml:", "{}/kube.yaml:/etc/kube.yaml:"),
        ("DOCKER_CERT_PATH", "certs", "{}/certs"),
        ("DOCKER_CONFIG", "../docker", "{}/../docker"),
        ("SSH_AUTH_SOCK", "agent.sock", "{}/agent.sock"),
        ("GOOGLE_APPLICATION_CREDENTIALS", "key.json", "{}/key.json"),
        ("KRB5CCNAME", "FILE:cc", "FILE:{}/cc"),
        ("KRB5CCNAME", "cc", "{}/cc"),
        ("KRB5CCNAME", "KEYRING:persistent:1000", "KEYRING:persistent:1000"),
        ("AWS_CONFIG_FILE", "", ""),
        ("CONTAINERS_CONF", "~/containers.conf", "~/containers.conf"),
        ("HOME", "~", "~"),
        ("PATH", "bin::.:/usr/bin", "/usr/bin"),
    ],
)
def test_a_variable_names_the_file_of_the_shell(here: Path, name: str, value: str, meaning: str) -> None:
    assert absolute_variables({name: value}).get(name, value) == meaning.format(here)


def test_only_variables_that_are_set_are_changed() -> None:
    assert set(absolute_variables({"LANG": "C", "PATH": "/bin"})) == {"PATH"}


def test_the_working_directory_is_only_read_for_a_relative_path(
    here: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (gone := here / "gone").mkdir()
    monkeypatch.chdir(gone)
    gone.rmdir()

    assert absolute("/etc/kube.yaml") == "/etc/kube.yaml"
    assert absolute_variables({"KUBECONFIG": "/a:/b"})["KUBECONFIG"] == "/a:/b"


@pytest.mark.parametrize(
    ("uri", "key"),
    [
        ("ssh://h?identity_file=key.pem", "identity_file"),
        ("docker://c?host=tcp://engine:2376&cert_path=key.pem", "cert_path"),
    ],
)
def test_a_file_in_a_typed_uri_is_that_of_the_working_directory(here: Path, uri: str, key: str) -> None:
    assert parse_uri(uri).target.to_entry()[key] == f"{here}/key.pem"


@pytest.mark.parametrize(
    "entry",
    [
        {"transport": "ssh", "host": "h", "identity_file": "key.pem"},
        {"transport": "docker", "container": "c", "host": "tcp://e:1", "cert_path": "key.pem"},
        {"transport": "http", "url": "https://h", "ca_file": "key.pem"},
    ],
)
def test_a_file_in_a_saved_connection_is_absolute(entry: dict[str, str]) -> None:
    with pytest.raises(UsageError, match=r"'key\.pem' is not absolute"):
        ConnectionSpec.from_entry(entry)
