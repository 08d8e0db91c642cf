"""What cannot be used is named, with what to type next."""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from ocattach.errors import (
    AuthenticationError,
    ConfigurationError,
    EnvironmentNotFoundError,
    EnvironmentNotRunningError,
    OcattachError,
    TimedOutError,
    UnreachableError,
    UsageError,
)
from tests.kubernetes.conftest import User, plugin
from tests.rigs.kubernetes import EXEC, KubernetesCluster
from tests.rigs.kubernetes_pods import PodSpec
from tests.rigs.waiting import wait_until

SECRET = "not-to-be-shown"
KUBECTL = "kubectl --context test --namespace default"


def refusal(user: User, **entry: Any) -> OcattachError:
    """How a connection is refused."""
    with pytest.raises(OcattachError) as raised:
        user.handler(**entry).check_available()
    assert SECRET not in raised.value.message + raised.value.hint
    return raised.value


def test_a_completed_pod(kubernetes_cluster: KubernetesCluster, user: User) -> None:
    once = {"restartPolicy": "Never"}
    with kubernetes_cluster.pod("completed", command=["true"], settings=once, phase="Succeeded"):
        error = refusal(user, pod="completed")

    assert isinstance(error, EnvironmentNotRunningError)
    assert error.message == "Pod completed has completed (exit code 0)"
    assert error.hint == f"Try: {KUBECTL} logs completed main"


def test_a_pod_whose_image_is_missing(kubernetes_cluster: KubernetesCluster, user: User) -> None:
    with kubernetes_cluster.pod("absent", containers={"main": "absent"}, phase="Pending"):
        error = refusal(user, pod="absent")

    assert error.message.startswith("Container main of pod absent is not ready: ErrImageNeverPull: ")
    assert error.hint == f"Try: {KUBECTL} describe pod absent"


@contextmanager
def created(cluster: KubernetesCluster, name: str, spec: dict[str, Any]) -> Iterator[None]:
    """A pod that nobody waits for."""
    pods = "/api/v1/namespaces/default/pods"
    cluster.api.create(pods, {"metadata": {"name": name}, "spec": spec})
    try:
        yield
    finally:
        cluster.api.delete(f"{pods}/{name}")


def test_a_pod_that_crashes_again_and_again(kubernetes_cluster: KubernetesCluster, user: User) -> None:
    with created(kubernetes_cluster, "crashing", PodSpec(command=["false"]).template()["spec"]):

        def crash_loop() -> OcattachError | None:
            try:
                user.handler(pod="crashing").check_available()
            except OcattachError as error:
                return error if "CrashLoopBackOff" in error.message else None
            return None  # between two crashes it runs

        error = wait_until(crash_loop, "the kubelet to wait between two tries", timeout=60, interval=0.2)

    assert error.hint == f"Try: {KUBECTL} logs --previous crashing main"


def test_a_pod_that_no_node_has_taken(kubernetes_cluster: KubernetesCluster, user: User) -> None:
    with created(kubernetes_cluster, "waiting", {"containers": [{"name": "main", "image": "any"}]}):
        error = refusal(user, pod="waiting")

    assert error.message == "Pod waiting is pending"
    assert error.hint == f"Try: {KUBECTL} describe pod waiting"


def test_a_pod_that_does_not_exist_with_near_names(kubernetes_cluster: KubernetesCluster, user: User) -> None:
    with kubernetes_cluster.pod("backend"):
        error = refusal(user, pod="backemd")

    assert isinstance(error, EnvironmentNotFoundError)
    assert error.message == "No pod backemd in namespace default"
    assert error.hint == f"Did you mean backend? Try: {KUBECTL} get pods"


def test_a_pod_that_is_deleted_while_in_use(kubernetes_cluster: KubernetesCluster, user: User) -> None:
    with kubernetes_cluster.pod("doomed") as pod:
        handler = user.handler(pod="doomed")
        assert handler.run(["true"], timeout=60).exit_code == 0
        pod.delete()

        with pytest.raises(EnvironmentNotFoundError, match="Pod doomed no longer exists") as raised:
            handler.run(["true"], timeout=10)
        assert raised.value.hint == f"Try: {KUBECTL} get pods"


def test_a_namespace_that_does_not_exist(user: User) -> None:
    error = refusal(user, pod="any", namespace="nowhere")

    assert error.message == "The cluster has no namespace nowhere"
    assert "--namespace" in error.hint


def test_a_context_that_does_not_exist(user: User) -> None:
    error = refusal(user, pod="any", context="tset")

    assert error.message == "The kubeconfig has no context tset"
    assert error.hint == "Did you mean test? Try: kubectl config get-contexts"


def test_a_selector_that_is_none(user: User) -> None:
    assert isinstance(refusal(user, selector="app=("), UsageError)


def test_no_kubeconfig(user: User, workdir: Path) -> None:
    user.take(workdir / "nothing")
    error = refusal(user, pod="any")

    assert isinstance(error, ConfigurationError)
    assert str(workdir / "nothing") in error.message


def test_a_kubeconfig_that_is_none_is_not_quoted(user: User, workdir: Path) -> None:
    (workdir / "broken").write_text(f"users:\n- name: a\n  user: {{token: *{SECRET}}}")
    user.take(workdir / "broken")

    assert refusal(user, pod="any").message == f"{workdir}/broken is not valid YAML in line 3"


def test_a_token_that_is_not_accepted(
    kubernetes_cluster: KubernetesCluster, user: User, workdir: Path
) -> None:
    user.take(kubernetes_cluster.write_kubeconfig(workdir / "expired", {"token": SECRET}))
    error = refusal(user, pod="any")

    assert isinstance(error, AuthenticationError)
    assert "does not accept your credentials" in error.message
    assert "log in again" in error.hint


def test_a_cluster_where_nothing_listens(
    kubernetes_cluster: KubernetesCluster, user: User, workdir: Path
) -> None:
    config = json.loads(kubernetes_cluster.kubeconfig.read_text())
    config["clusters"][0]["cluster"]["server"] = f"https://{kubernetes_cluster.cable.address}:1"
    (workdir / "elsewhere").write_text(json.dumps(config))
    user.take(workdir / "elsewhere")
    error = refusal(user, pod="any")

    assert type(error) is UnreachableError
    assert error.message.endswith("does not answer: Connection refused")


def test_a_proxy_that_does_not_answer_is_named_without_its_password(
    user: User, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("HTTPS_PROXY", "https_proxy"):
        monkeypatch.setenv(name, f"http://me:{SECRET}@127.0.0.1:9")
    error = refusal(user, pod="any")

    assert error.message.endswith("through the proxy 127.0.0.1) does not answer: Connection refused")


def test_a_cluster_that_is_not_trusted(
    kubernetes_cluster: KubernetesCluster, user: User, workdir: Path
) -> None:
    config = json.loads(kubernetes_cluster.kubeconfig.read_text())
    del config["clusters"][0]["cluster"]["certificate-authority"]
    (workdir / "untrusted").write_text(json.dumps(config))
    user.take(workdir / "untrusted")

    assert "is not trusted" in refusal(user, pod="any").message


def test_a_cluster_that_has_stopped_answering(kubernetes_cluster: KubernetesCluster, user: User) -> None:
    handler = user.handler(pod="any")
    handler.timeout = 1
    kubernetes_cluster.apiserver.freeze()
    try:
        with pytest.raises(TimedOutError, match="did not answer in 1 s") as raised:
            handler.check_available()
    finally:
        kubernetes_cluster.apiserver.thaw()

    assert raised.value.hint == f"Try: {KUBECTL} get pods"


def test_a_pod_without_a_shell(kubernetes_cluster: KubernetesCluster, user: User) -> None:
    with kubernetes_cluster.pod("shell-less", containers={"main": "pause"}):
        handler = user.handler(pod="shell-less")
        handler.check_available()

        with pytest.raises(UnreachableError, match="No shell") as raised:
            handler.check_daemon_running()
        assert "--container" in raised.value.hint


@pytest.mark.parametrize("command", [["/etc"], ["/bin"]])
def test_what_is_no_program_gives_126(
    kubernetes_cluster: KubernetesCluster, user: User, command: list[str]
) -> None:
    with kubernetes_cluster.pod(f"no-program-{command[0][1:]}") as pod:
        assert user.handler(pod=pod.name).run(command, timeout=60).exit_code == 126


def test_a_user_who_may_not_look_at_pods(kubernetes_cluster: KubernetesCluster, user: User) -> None:
    user.take(kubernetes_cluster.user("blind", EXEC))
    error = refusal(user, pod="any")

    assert isinstance(error, AuthenticationError)
    assert error.message == "blind may not get pods in namespace default"
    assert error.hint.endswith(f"{KUBECTL} auth can-i get pods")


@pytest.mark.parametrize(
    ("entry", "message"),
    [
        (plugin("", command="no-such-plugin"), "The credential plugin no-such-plugin cannot be run"),
        (plugin("echo log in first >&2; exit 3"), "failed with exit code 3: log in first"),
        (plugin(f"echo {SECRET}"), "gave no credentials"),
        (plugin(f'echo \'{{"status": {{"password": "{SECRET}"}}}}\''), "gave no credentials"),
    ],
)
def test_a_plugin_that_fails(
    kubernetes_cluster: KubernetesCluster, user: User, workdir: Path, entry: dict[str, Any], message: str
) -> None:
    user.take(kubernetes_cluster.write_kubeconfig(workdir / "plugin", entry))
    error = refusal(user, pod="any")

    assert isinstance(error, AuthenticationError)
    assert message in error.message
