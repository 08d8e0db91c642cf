"""Kubeconfigs, and files that they name, which are no files; and plugins that print no credentials."""

import json
import os
import shlex
from pathlib import Path
from typing import Any

import pytest
from kubernetes.config.exec_provider import ExecProvider
from kubernetes.config.kube_config import ConfigNode

from ocattach.errors import AuthenticationError, ConfigurationError, TimedOutError
from ocattach.transports.base import NoPerson, Question
from ocattach.transports.kubernetes.config import Access, load_access
from ocattach.transports.kubernetes.plugin import PluginRun

V1 = "client.authentication.k8s.io/v1"


def access(directory: Path, monkeypatch: pytest.MonkeyPatch, user: dict[str, Any], **cluster: str) -> Access:
    """What a kubeconfig with this user comes to."""
    kubeconfig = {
        "current-context": "a",
        "contexts": [{"name": "a", "context": {"cluster": "c", "user": "u"}}],
        "clusters": [{"name": "c", "cluster": {"server": "https://127.0.0.1:1", **cluster}}],
        "users": [{"name": "u", "user": user}],
    }
    (directory / "kubeconfig").write_text(json.dumps(kubeconfig))
    monkeypatch.setenv("KUBECONFIG", str(directory / "kubeconfig"))
    return load_access(None, directory, ask=lambda: NoPerson("nobody is asked"), timeout=5)


@pytest.mark.parametrize("kind", ["pipe", "device", "directory"])
@pytest.mark.parametrize("key", ["tokenFile", "client-certificate", "client-key", "certificate-authority"])
def test_what_is_no_regular_file_is_named_and_not_waited_for(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, kind: str, key: str
) -> None:
    odd = Path("/dev/zero") if kind == "device" else tmp_path / kind
    if kind == "pipe":
        os.mkfifo(odd)
    if kind == "directory":
        odd.mkdir()
    user = {"token": "x"} if key == "certificate-authority" else {key: str(odd)}
    cluster = {key: str(odd)} if key == "certificate-authority" else {}
    with pytest.raises(ConfigurationError) as failure:
        access(tmp_path, monkeypatch, user, **cluster)

    assert str(odd) in failure.value.message
    assert key in failure.value.message
    assert "regular file" in failure.value.message


@pytest.mark.parametrize("kind", ["pipe", "device"])
def test_a_kubeconfig_that_is_no_regular_file_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, kind: str
) -> None:
    odd = Path("/dev/zero") if kind == "device" else tmp_path / kind
    if kind == "pipe":
        os.mkfifo(odd)
    monkeypatch.setenv("KUBECONFIG", str(odd))

    with pytest.raises(ConfigurationError, match=f"{odd} is not a regular file"):
        load_access(None, tmp_path, ask=lambda: NoPerson(""), timeout=5)


def test_a_kubeconfig_without_end_is_not_read_to_its_end(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with (tmp_path / "kubeconfig").open("wb") as file:
        file.truncate(1 << 40)
    monkeypatch.setenv("KUBECONFIG", str(tmp_path / "kubeconfig"))

    with pytest.raises(ConfigurationError, match="larger than"):
        load_access(None, tmp_path, ask=lambda: NoPerson(""), timeout=5)


@pytest.mark.parametrize(
    "printed",
    [
        "[" * 200_000,
        json.dumps({"apiVersion": V1, "status": "a token"}),
        json.dumps({"apiVersion": V1, "status": ["token"]}),
        json.dumps({"apiVersion": V1, "status": {"token": ["x"]}}),
        json.dumps({"apiVersion": V1, "status": {"clientKeyData": "x"}}),
        json.dumps({"apiVersion": V1, "status": {"clientKeyData": "x", "clientCertificateData": 5}}),
        "[]",
        "null",
        "\xe9\\0",
    ],
    ids=range(9),
)
def test_a_plugin_that_prints_no_credentials_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, printed: str
) -> None:
    (tmp_path / "printed").write_text(printed)
    arguments = ["-c", shlex.join(["cat", str(tmp_path / "printed")])]
    plugin = {"apiVersion": V1, "command": "sh", "args": arguments, "interactiveMode": "Never"}

    with pytest.raises(AuthenticationError, match="sh gave no credentials"):
        access(tmp_path, monkeypatch, {"exec": plugin})


def run_plugin(script: str, seconds: float) -> list[str]:
    """Run a plugin that gives no credentials. Returns what it shows to the person."""
    shown: list[str] = []

    def ask(question: Question) -> str:
        shown.append(question.text)
        return ""

    arguments = {"apiVersion": V1, "command": "sh", "args": ["-c", script]}
    plugin = ExecProvider(ConfigNode("exec", arguments), None, None)
    with pytest.raises((AuthenticationError, TimedOutError)):
        PluginRun(plugin, "Never", ask).credentials(seconds)
    return shown


def test_a_plugin_that_speaks_without_end_shows_some_lines() -> None:
    assert 0 < len(run_plugin("yes >&2", 2)) <= 100


def test_a_line_without_end_is_cut() -> None:
    (line,) = run_plugin("head -c 3000000 /dev/zero | tr '\\0' x >&2; echo >&2", 20)

    assert len(line) <= 10_000


def test_an_expiry_that_is_no_time_is_passed_over(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    status = {"token": "x", "expirationTimestamp": "tomorrow"}
    (tmp_path / "printed").write_text(json.dumps({"apiVersion": V1, "status": status}))
    arguments = ["-c", shlex.join(["cat", str(tmp_path / "printed")])]
    plugin = {"apiVersion": V1, "command": "sh", "args": arguments, "interactiveMode": "Never"}

    found = access(tmp_path, monkeypatch, {"exec": plugin}).configuration

    assert found.api_key["BearerToken"] == "Bearer x"
