"""A user of the cluster, with a laptop that remembers nothing yet."""

from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest

from ocattach.config.spec import ConnectionSpec
from ocattach.transports.base import Question
from ocattach.transports.kubernetes.transport import KubernetesTransport
from tests.environments.environment import ask_nobody
from tests.rigs.kubernetes import Cluster, KubernetesCluster

Ask = Callable[[Question], str]


@pytest.fixture(scope="session")
def kubernetes_cluster(kubernetes_cluster: Cluster) -> KubernetesCluster:
    """The session's, which these tests may freeze, and ask what it was asked."""
    if not isinstance(kubernetes_cluster, KubernetesCluster):
        pytest.skip("k8s: not with a cluster of the user's own")
    return kubernetes_cluster


class User:
    """Somebody with a kubeconfig."""

    def __init__(self, kubeconfig: Path, monkeypatch: pytest.MonkeyPatch, closing: ExitStack) -> None:
        self._monkeypatch = monkeypatch
        self._closing = closing
        self.take(kubeconfig)

    def take(self, kubeconfig: Path) -> None:
        """Use another kubeconfig from now on."""
        self._monkeypatch.setenv("KUBECONFIG", str(kubeconfig))

    def handler(
        self, target: Mapping[str, str] | None = None, *, ask: Ask = ask_nobody, **entry: Any
    ) -> KubernetesTransport:
        """A handler for a connection, which ends with the test."""
        spec = ConnectionSpec.from_entry({"transport": "k8s", **(target or {}), **entry})
        return self._closing.enter_context(KubernetesTransport(spec, ask=ask, timeout=30))


@pytest.fixture
def user(
    kubernetes_cluster: KubernetesCluster, workdir: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[User]:
    """The cluster's administrator."""
    monkeypatch.setenv("OCATTACH_STATE_DIR", str(workdir / "state"))
    with ExitStack() as closing:
        yield User(kubernetes_cluster.kubeconfig, monkeypatch, closing)


def plugin(script: str, **more: Any) -> dict[str, Any]:
    """A user of a kubeconfig whose credentials come from a command."""
    command = {
        "apiVersion": "client.authentication.k8s.io/v1",
        "command": "sh",
        "args": ["-c", script],
        **more,
    }
    return {"exec": command}
