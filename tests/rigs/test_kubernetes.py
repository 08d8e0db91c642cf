"""The cluster keeps its promises. What is asked of it as a user is asked by kubectl."""

import os
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import pytest

from tests.rigs import cgroups, images
from tests.rigs.availability import Unavailable
from tests.rigs.kubernetes import (
    EXEC,
    GET_PODS,
    PORT_FORWARD,
    KubernetesCluster,
)
from tests.rigs.kubernetes_api import RefusedError
from tests.rigs.kubernetes_given import GivenCluster, first_process
from tests.rigs.kubernetes_node import NODE
from tests.rigs.namespaces import Network
from tests.rigs.opencode import CHECKOUT, MODEL_PORT
from tests.rigs.processes import is_alive
from tests.rigs.waiting import wait_until


def kubectl(kubeconfig: Path, *argv: str) -> subprocess.CompletedProcess[str]:
    """Run kubectl to its end."""
    return subprocess.run(
        ["kubectl", "--kubeconfig", kubeconfig, *argv],
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )


def test_a_pod_runs_opencode(kubernetes_cluster: KubernetesCluster) -> None:
    with kubernetes_cluster.pod("rig-opencode") as pod:
        done = kubectl(kubernetes_cluster.kubeconfig, "exec", pod.name, "--", "opencode", "--version")

        assert done.stdout.startswith("1."), done.stderr


@pytest.mark.parametrize("variant", ["bare", "pause"])
def test_other_images_run_without_opencode(kubernetes_cluster: KubernetesCluster, variant: str) -> None:
    with kubernetes_cluster.pod(f"rig-{variant}", containers={"main": variant}) as pod:
        config = kubernetes_cluster.kubeconfig
        assert kubectl(config, "exec", pod.name, "--", "opencode", "--version").returncode != 0
        assert (kubectl(config, "exec", pod.name, "--", "sh", "-c", "true").returncode == 0) == (
            variant == "bare"
        )


def test_a_pod_of_another_user_has_that_users_home(kubernetes_cluster: KubernetesCluster) -> None:
    with kubernetes_cluster.pod("rig-user", user="user") as pod:
        done = kubectl(kubernetes_cluster.kubeconfig, "exec", pod.name, "--", "sh", "-c", "id -u; echo $HOME")

        assert done.stdout.split() == ["1000", "/home/user"]


def test_a_pod_has_several_containers(kubernetes_cluster: KubernetesCluster) -> None:
    with kubernetes_cluster.pod("rig-two", containers={"app": "minimal", "log": "bare"}) as pod:
        assert pod.run("opencode", "--version").exit_code == 0
        assert pod.run("sh", "-c", "command -v opencode", container="log").exit_code != 0
        networks = {Network(pod.process_of(name)).namespace.readlink() for name in pod.containers}
        assert len(networks) == 1


def test_a_pod_may_have_completed(kubernetes_cluster: KubernetesCluster) -> None:
    once = {"restartPolicy": "Never"}
    with kubernetes_cluster.pod("rig-done", command=["true"], settings=once, phase="Succeeded") as pod:
        assert pod.status["phase"] == "Succeeded"


def test_a_pod_may_not_be_ready(kubernetes_cluster: KubernetesCluster) -> None:
    with kubernetes_cluster.pod("rig-unready", ready=False) as pod:
        assert pod.status["phase"] == "Running"
        assert not pod.is_ready()


def test_a_pods_image_may_be_missing(kubernetes_cluster: KubernetesCluster) -> None:
    with kubernetes_cluster.pod("rig-absent", containers={"main": "absent"}, phase="Pending") as pod:
        (container,) = pod.status["containerStatuses"]
        assert container["state"]["waiting"]["reason"] == "ErrImageNeverPull"


def test_a_pod_that_is_removed_leaves_nothing(kubernetes_cluster: KubernetesCluster) -> None:
    with kubernetes_cluster.pod("rig-gone") as pod:
        process = pod.process
        assert process.exists()

    assert not process.exists()
    with pytest.raises(RefusedError, match="404"):
        _ = pod.status


@pytest.mark.parametrize("kind", ["deployment", "statefulset"])
def test_a_controller_replaces_its_pods(kubernetes_cluster: KubernetesCluster, kind: str) -> None:
    with getattr(kubernetes_cluster, kind)(f"rig-{kind}", model=True) as workload:
        before = workload.pod

        after = workload.replace_pod()

        assert after.uid != before.uid
        assert (after.name == before.name) == (kind == "statefulset")
        assert after.run("opencode", "--version", workdir="/work").stdout.startswith("1.")


def test_a_deployment_has_as_many_pods_as_asked(kubernetes_cluster: KubernetesCluster) -> None:
    with kubernetes_cluster.deployment("rig-many", replicas=2) as workload:
        assert len(workload.pods) == 2

        workload.scale(1)

        assert len(workload.pods) == 1


@pytest.mark.parametrize("token", [False, True])
def test_a_user_may_do_what_the_rules_say(kubernetes_cluster: KubernetesCluster, *, token: bool) -> None:
    name = f"rig-limited-{token}".lower()
    limited = kubernetes_cluster.user(name, GET_PODS, PORT_FORWARD, token=token)
    with kubernetes_cluster.pod("rig-rules") as pod:
        assert kubectl(limited, "get", "pod", pod.name).returncode == 0
        refused = kubectl(limited, "exec", pod.name, "--", "true")

    assert 'cannot create resource "pods/exec"' in refused.stderr


def test_a_user_may_be_confined_to_a_namespace(kubernetes_cluster: KubernetesCluster) -> None:
    with (
        kubernetes_cluster.namespace("rig-team") as team,
        kubernetes_cluster.pod("rig-app", namespace=team) as pod,
    ):
        user = kubernetes_cluster.user("rig-member", GET_PODS, EXEC, namespace=team, context="team")

        assert kubectl(user, "--context", "team", "exec", pod.name, "--", "hostname").stdout == "rig-app\n"
        assert "forbidden" in kubectl(user, "--namespace", "default", "get", "pod", "x").stderr.lower()


def test_the_audit_log_tells_who_asked_for_what(kubernetes_cluster: KubernetesCluster) -> None:
    stranger = kubernetes_cluster.user("rig-stranger")
    with kubernetes_cluster.pod("rig-audit") as pod:
        before = kubernetes_cluster.requests()
        connections = kubernetes_cluster.connections()
        kubectl(kubernetes_cluster.kubeconfig, "exec", pod.name, "--", "true")
        kubectl(stranger, "get", "pod", pod.name)
        new = kubernetes_cluster.requests()[len(before) :]

    assert {(request.user, request.resource, request.name) for request in new} == {
        ("admin", "pods", pod.name),
        ("admin", "pods/exec", pod.name),
        ("rig-stranger", "pods", pod.name),
    }
    assert kubernetes_cluster.connections() > connections


def schedule(cluster: KubernetesCluster, ended: threading.Event) -> None:
    """Be the scheduler of a cluster that has none: there is a single node to choose from."""
    while not ended.wait(0.05):
        for pod in cluster.api.get("/api/v1/pods?fieldSelector=spec.nodeName%3D")["items"]:
            at = f"/api/v1/namespaces/{pod['metadata']['namespace']}/pods/{pod['metadata']['name']}/binding"
            binding = {
                "metadata": {"name": pod["metadata"]["name"]},
                "target": {"kind": "Node", "name": NODE},
            }
            with suppress(RefusedError):  # the pod has gone
                cluster.api.create(at, binding)


@pytest.fixture
def given_cluster(own_cluster: KubernetesCluster, workdir: Path) -> Iterator[GivenCluster]:
    """A cluster by its kubeconfig alone."""
    ended = threading.Event()
    scheduler = threading.Thread(target=schedule, args=(own_cluster, ended))
    scheduler.start()
    try:
        with GivenCluster(workdir, own_cluster.kubeconfig, images.reference("minimal")) as cluster:
            yield cluster
    finally:
        ended.set()
        scheduler.join()


def test_a_pod_of_the_users_own_cluster_is_furnished(given_cluster: GivenCluster) -> None:
    with given_cluster.pod("given", model=True) as pod:
        with pod.network.dial(MODEL_PORT) as connection:
            assert connection.getpeername()[1] == MODEL_PORT
        assert pod.path(pod.config_path()).is_file()
        assert pod.run("hostname").stdout == "given\n"


def test_the_users_own_cluster_replaces_its_pods(given_cluster: GivenCluster) -> None:
    with given_cluster.deployment("given") as workload:
        before = workload.pod

        assert workload.replace_pod().uid != before.uid


def test_the_users_own_cluster_has_users_too(given_cluster: GivenCluster) -> None:
    limited = given_cluster.user("given-limited", GET_PODS)
    with given_cluster.pod("given-rules") as pod:
        assert kubectl(limited, "get", "pod", pod.name).returncode == 0
        assert "forbidden" in kubectl(limited, "exec", pod.name, "--", "true").stderr


def test_nothing_is_left_in_the_users_own_cluster(
    own_cluster: KubernetesCluster, given_cluster: GivenCluster
) -> None:
    space = f"/api/v1/namespaces/{given_cluster.default_namespace}"
    assert own_cluster.api.get(space)

    given_cluster.stop()

    wait_until(lambda: not exists(own_cluster, space), "the namespace to be gone")


def exists(cluster: KubernetesCluster, path: str) -> bool:
    try:
        cluster.api.get(path)
    except RefusedError:
        return False
    return True


def test_a_container_elsewhere_cannot_be_looked_into() -> None:
    with pytest.raises(Unavailable, match="does not run on this machine"):
        first_process("f" * 64)


@pytest.fixture(scope="module")
def own_cluster(
    kubernetes_cluster: KubernetesCluster,  # noqa: ARG001  so that two run at once
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[KubernetesCluster]:
    """A second one, whose parts may be ended."""
    with KubernetesCluster(tmp_path_factory.mktemp("cluster")) as cluster:
        yield cluster


def test_pods_outlive_kubelet_and_apiserver_and_nothing_outlives_the_cluster(
    workdir: Path,
    kubernetes_cluster: KubernetesCluster,  # noqa: ARG001  so that two run at once
) -> None:
    with KubernetesCluster(workdir) as cluster, cluster.pod("survivor") as pod:
        machine, group = cluster.machine.pid, cluster._cgroup
        cable = Path(f"/sys/class/net/oct{cluster.cable.number}")
        assert cable.exists()
        assert cgroups._tops(group)
        process = pod.process
        cluster.kubelet.kill()
        cluster.apiserver.kill()

        assert kubectl(cluster.kubeconfig, "exec", pod.name, "--", "true").returncode != 0
        assert pod.run("true").exit_code == 0

        cluster.apiserver.start()
        cluster.kubelet.start()
        cluster.wait_until_ready()
        again = kubectl(cluster.kubeconfig, "exec", pod.name, "--", "hostname")

        assert again.stdout == "survivor\n", again.stderr
        assert pod.process == process

    assert not is_alive(machine)
    wait_until(lambda: not cable.exists(), "the kernel to take the network back")
    assert not cgroups._tops(group)


KILLED_RUN = """\
import sys
from pathlib import Path
from tests.rigs.kubernetes import KubernetesCluster
from tests.rigs.leash import leash

with leash(), KubernetesCluster(Path(sys.argv[1])) as cluster, cluster.pod("last") as pod:
    print(cluster.machine.pid, pod.process, flush=True)
    sys.stdin.read()
"""


def test_nothing_outlives_a_killed_run(workdir: Path, kubernetes_cluster: KubernetesCluster) -> None:
    assert kubernetes_cluster.api.is_ready()
    run = subprocess.Popen(
        [sys.executable, "-c", KILLED_RUN, workdir],
        cwd=CHECKOUT,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        env=dict(os.environ),
    )
    with run:
        assert run.stdout is not None
        machine, process = run.stdout.readline().split()
        assert Path(process).exists()

        run.send_signal(signal.SIGKILL)

    wait_until(lambda: not is_alive(int(machine)), "the cluster to end")
    assert not Path(process).exists()
