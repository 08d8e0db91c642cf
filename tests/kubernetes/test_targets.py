"""Which pod is meant, and what the user is told of it."""

import socket

import pytest

from ocattach.errors import EnvironmentNotFoundError, UsageError
from ocattach.transports.kubernetes.transport import KubernetesTransport
from tests.kubernetes.conftest import User
from tests.rigs.kubernetes import KubernetesCluster
from tests.rigs.waiting import wait_until

DEFAULT_CONTAINER = "kubectl.kubernetes.io/default-container"


def hostname(handler: KubernetesTransport) -> str:
    """The name of the pod in which commands run."""
    return handler.run(["hostname"], timeout=60).stdout.decode().strip()


def path(pod: str) -> str:
    """Where the cluster has a pod."""
    return f"/api/v1/namespaces/default/pods/{pod}"


def use(handler: KubernetesTransport) -> None:
    """Use the environment as a link does, so that it is remembered."""
    handler.check_daemon_running()
    handler.connect(4096)


@pytest.mark.parametrize("kind", ["deployment", "statefulset", "selector"])
def test_a_pod_is_found_by_what_makes_it(
    kubernetes_cluster: KubernetesCluster, user: User, kind: str
) -> None:
    make = kubernetes_cluster.statefulset if kind == "statefulset" else kubernetes_cluster.deployment
    with make(f"found-by-{kind}") as workload:
        name = f"app={workload.name}" if kind == "selector" else workload.name

        assert hostname(user.handler({kind: name})) == workload.pod.name


def test_of_several_ready_pods_the_oldest_is_chosen_and_this_is_said(
    kubernetes_cluster: KubernetesCluster, user: User
) -> None:
    with kubernetes_cluster.deployment("several", replicas=3) as workload:
        handler = user.handler(deployment="several")

        assert (
            handler.check_available().summary == f"Pod {workload.pod.name} is running (the oldest of 3 ready)"
        )


def test_the_pod_of_last_time_is_chosen_again_although_another_is_older(
    kubernetes_cluster: KubernetesCluster, user: User
) -> None:
    with (
        kubernetes_cluster.pod("team-older") as older,
        kubernetes_cluster.pod("team-newer", labels={"team": "a"}),
    ):
        use(user.handler(selector="team=a"))
        kubernetes_cluster.api.change(path(older.name), {"metadata": {"labels": {"team": "a"}}})
        summary = user.handler(selector="team=a").check_available().summary

    assert summary == "Pod team-newer is running (used last time of 2 ready)"


@pytest.mark.parametrize("kind", ["deployment", "statefulset"])
def test_a_replaced_pod_is_found_again_and_said_to_be_new(
    kubernetes_cluster: KubernetesCluster, user: User, kind: str
) -> None:
    make = kubernetes_cluster.statefulset if kind == "statefulset" else kubernetes_cluster.deployment
    with make(f"replaced-{kind}") as workload:
        use(user.handler({kind: workload.name}))
        before = workload.pod
        after = workload.replace_pod()
        handler = user.handler({kind: workload.name})
        summary = handler.check_available().summary

        assert f"Pod {after.name} is running" in summary
        assert f"the environment is new: pod {before.name} was replaced" in summary


def test_a_pod_that_is_not_ready_can_be_used_when_there_is_no_other(
    kubernetes_cluster: KubernetesCluster, user: User
) -> None:
    with kubernetes_cluster.pod("unready", ready=False):
        assert hostname(user.handler(pod="unready")) == "unready"


def test_several_containers_are_listed_to_choose_from(
    kubernetes_cluster: KubernetesCluster, user: User
) -> None:
    with kubernetes_cluster.pod("two", containers={"app": "minimal", "log": "bare"}):
        with pytest.raises(UsageError, match="several containers") as raised:
            user.handler(pod="two").check_available()
        assert "--container app, --container log" in raised.value.hint

        with pytest.raises(UsageError, match="no container lag"):
            user.handler(pod="two", container="lag").check_available()

        opencode = user.handler(pod="two", container="log").run(
            ["sh", "-c", "command -v opencode"], timeout=10
        )
        assert opencode.exit_code != 0


def test_the_default_container_is_the_one_kubectl_takes(
    kubernetes_cluster: KubernetesCluster, user: User
) -> None:
    with kubernetes_cluster.pod("annotated", containers={"log": "bare", "app": "minimal"}):
        kubernetes_cluster.api.change(
            path("annotated"),
            {"metadata": {"annotations": {DEFAULT_CONTAINER: "app"}}},
        )
        handler = user.handler(pod="annotated")

        assert handler.check_available().summary == "Pod annotated, container app, is running"
        assert handler.run(["sh", "-c", "command -v opencode"], timeout=60).exit_code == 0


def test_what_makes_no_pods_is_said_to(kubernetes_cluster: KubernetesCluster, user: User) -> None:
    with kubernetes_cluster.deployment("scaled-down") as workload:
        workload.scale(0)

        with pytest.raises(EnvironmentNotFoundError, match="deployment scaled-down has no pods"):
            user.handler(deployment="scaled-down").check_available()


@pytest.mark.parametrize("whole", [True, False])
def test_a_commands_input_ends_with_the_stream_or_with_what_is_written_to_it(
    kubernetes_cluster: KubernetesCluster, user: User, *, whole: bool
) -> None:
    with kubernetes_cluster.pod(f"stream-{whole}".lower()) as pod:
        stream = user.handler(pod=pod.name).open_stream(
            ["sh", "-c", "echo ready; cat; echo end >/root/ended"]
        )
        stream.socket.settimeout(10)
        assert stream.socket.recv(100) == b"ready\n"
        stream.socket.sendall(b"x" * 100)
        assert stream.socket.recv(100, socket.MSG_WAITALL) == b"x" * 100

        if whole:
            stream.close()
        else:
            stream.socket.shutdown(socket.SHUT_WR)

        wait_until(pod.path("/root/ended").exists, "the command to see the end of its input")
        stream.close()
