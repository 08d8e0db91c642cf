"""A real Kubernetes of our own, of one node: kube-apiserver, kubelet, controllers, etcd and containerd.

All of it runs on one machine in namespaces, which a cable connects with this one: nothing of it is seen elsewhere,
and it ends at once. `scripts/install-kubernetes` makes the programs. Several clusters at once do not collide.
"""

import json
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

from tests.rigs import cgroups, images, kubernetes_control, kubernetes_node, links
from tests.rigs.availability import need
from tests.rigs.kubernetes_api import PORT, Api
from tests.rigs.kubernetes_certificates import Authority
from tests.rigs.kubernetes_control import ADMINISTRATORS, by_certificate, programs, write_kubeconfig
from tests.rigs.kubernetes_daemons import Daemon
from tests.rigs.kubernetes_node import NODE
from tests.rigs.kubernetes_pods import SECONDS, PodRig, PodSpec, has_condition
from tests.rigs.kubernetes_workloads import WorkloadRig
from tests.rigs.namespaces import PROGRAMS, Confined, init_program
from tests.rigs.waiting import wait_until

NEEDED = (*PROGRAMS, "containerd", "ctr", "runc", "iptables", "busybox", "ldd", "openssl", "kubectl")

Rule = dict[str, list[str]]
"""What a user may do, as RBAC writes it."""

GET_PODS: Rule = {"apiGroups": [""], "resources": ["pods"], "verbs": ["get"]}
LIST_PODS: Rule = {"apiGroups": [""], "resources": ["pods"], "verbs": ["get", "list", "watch"]}
EXEC: Rule = {"apiGroups": [""], "resources": ["pods/exec"], "verbs": ["get", "create"]}
PORT_FORWARD: Rule = {"apiGroups": [""], "resources": ["pods/portforward"], "verbs": ["get", "create"]}
GET_WORKLOADS: Rule = {
    "apiGroups": ["apps"],
    "resources": ["deployments", "statefulsets", "replicasets"],
    "verbs": ["get", "list", "watch"],
}


@dataclass(frozen=True, slots=True)
class Request:
    """What a user has asked the cluster, by its audit log, whether it was allowed or not."""

    user: str
    verb: str
    resource: str
    """Such as `pods` or `pods/exec`."""

    namespace: str
    name: str


class KubernetesCluster:
    """A running cluster, and what a client needs to reach it.

    Its daemons can each be killed, stopped, frozen and started again; `wait_until_ready` says when that is over.
    """

    etcd: Daemon
    apiserver: Daemon
    controller_manager: Daemon
    containerd: Daemon
    kubelet: Daemon

    def __init__(self, directory: Path) -> None:
        """Keep everything below this directory, whose path has to be short."""
        need(*NEEDED, root=True)
        init_program()
        programs()
        self.directory = directory
        self.kubeconfig = directory / "kubeconfig"
        """The administrator's. Its context is `test`."""
        self._cgroup = cgroups.new_name()
        self._stack = ExitStack()
        self._daemons: list[Daemon] = []

    @property
    def url(self) -> str:
        return f"https://{self.cable.address}:{PORT}"

    def start(self) -> Self:
        """Start everything and return when pods can be."""
        self.directory.mkdir(parents=True, exist_ok=True)
        cgroups.remove_stale()
        links.remove_stale_routes()
        try:
            self._start_machine()
            with ThreadPoolExecutor(1) as beside:
                runtime = beside.submit(self._start_containerd)
                self._start_control()
                runtime.result()
            self._start_kubelet()
        except BaseException:
            self.stop()
            raise
        return self

    def stop(self) -> None:
        """End everything. Stopping twice is harmless."""
        self._stack.close()
        while self._daemons:
            self._daemons.pop().reap()

    def wait_until_ready(self) -> None:
        """Return when apiserver, controllers and node do their work."""
        self._await(self.apiserver, self.api.is_ready)
        self.controller_manager.check()
        self._await(self.kubelet, self._node_is_ready)

    def user(
        self, name: str, *rules: Rule, namespace: str = "default", token: bool = False, context: str = "test"
    ) -> Path:
        """A user who may do this much in a namespace; returns their kubeconfig.

        They show a certificate, or where asked the token of a service account.
        """
        rbac, core = (f"{group}/namespaces/{namespace}" for group in (RBAC, "/api/v1"))
        subject = {"kind": "User", "name": name}
        if token:
            subject = {"kind": "ServiceAccount", "name": name, "namespace": namespace}
            self.api.create(f"{core}/serviceaccounts", {"metadata": {"name": name}})
            account = self.api.create(f"{core}/serviceaccounts/{name}/token", {"spec": {}})
            shown = {"token": account["status"]["token"]}
        else:
            shown = by_certificate(self.authority.client(name))
        self.api.create(f"{rbac}/roles", {"metadata": {"name": name}, "rules": rules})
        role = {"apiGroup": "rbac.authorization.k8s.io", "kind": "Role", "name": name}
        binding = {"metadata": {"name": name}, "subjects": [subject], "roleRef": role}
        self.api.create(f"{rbac}/rolebindings", binding)
        return self.write_kubeconfig(
            self.directory / f"{name}.kubeconfig", shown, namespace=namespace, context=context
        )

    def write_kubeconfig(self, path: Path, user: dict[str, Any], **more: str) -> Path:
        """Write a kubeconfig for any `user` entry; `context` and `namespace` may be given."""
        return write_kubeconfig(path, self.cable.address, self.authority.certificate, user, **more)

    @contextmanager
    def namespace(self, name: str) -> Iterator[str]:
        """A namespace, removed at the end."""
        self.api.create("/api/v1/namespaces", {"metadata": {"name": name}})
        try:
            yield name
        finally:
            self.api.delete(f"/api/v1/namespaces/{name}")

    @contextmanager
    def pod(
        self,
        name: str,
        *,
        namespace: str = "default",
        model: bool = False,
        phase: str = "Running",
        **spec: Any,
    ) -> Iterator[PodRig]:
        """A pod, removed at the end; `spec` is as in PodSpec, `model=True` has the scripted model on its loopback.

        It is waited for until it is in the phase, and ready if it can be; one whose image is missing stays Pending.
        """
        wanted = PodSpec(**spec)
        body = wanted.template()
        body["metadata"]["name"] = name
        rig = self._rig(self.api.create(f"/api/v1/namespaces/{namespace}/pods", body))
        with ExitStack() as stack:
            stack.callback(rig.remove)
            wait_until(
                lambda: has_come(rig.status, phase, ready=wanted.ready),
                f"pod {name} to be {phase}",
                timeout=SECONDS,
                interval=0.05,
            )
            if phase == "Running":
                rig.furnish(wanted.user)
            if model:
                stack.enter_context(rig.serve_model())
            yield rig

    @contextmanager
    def deployment(self, name: str, **more: Any) -> Iterator[WorkloadRig]:
        """A Deployment, removed at the end; `replicas`, `namespace`, `model`, and more as in PodSpec."""
        with self._workload("Deployment", name, **more) as workload:
            yield workload

    @contextmanager
    def statefulset(self, name: str, **more: Any) -> Iterator[WorkloadRig]:
        """A StatefulSet, removed at the end; as `deployment`."""
        with self._workload("StatefulSet", name, **more) as workload:
            yield workload

    def requests(self) -> list[Request]:
        """What users have asked of resources so far, in order. The cluster's own parts and this rig are left out."""
        found = []
        for line in (self.directory / "audit.log").read_text().splitlines():
            event = json.loads(line)
            if event["stage"] == "RequestReceived" and "objectRef" in event:
                found.append(_request(event))
        return found

    def connections(self) -> int:
        """How many execs and port-forwards users have asked for so far."""
        return sum(request.resource in {"pods/exec", "pods/portforward"} for request in self.requests())

    def __enter__(self) -> Self:
        return self.start()

    def __exit__(self, *_: object) -> None:
        self.stop()

    def _start_machine(self) -> None:
        self._stack.callback(cgroups.remove, self._cgroup)
        self.machine: Confined = kubernetes_node.start_machine(self.directory)
        self._stack.callback(self.machine.kill)
        self.cable = links.connect(self.machine)
        self._stack.callback(self.cable.remove)

    def _start_containerd(self) -> None:
        self.containerd = self._add(kubernetes_node.containerd(self.machine, self.directory))
        self.containerd.start()
        self._await(self.containerd, self.machine.path(kubernetes_node.CONTAINERD_SOCKET).exists)
        kubernetes_node.import_images(self.machine, self.directory, images.VARIANTS)

    def _start_control(self) -> None:
        at, address = self.directory, self.cable.address
        self.etcd = self._add(kubernetes_control.etcd(self.machine, at))
        self.etcd.start()
        self.authority = Authority(at / "certificates")
        self.api = Api(address, self.authority.certificate, self.authority.client("rig", ADMINISTRATORS))
        self.apiserver = self._add(kubernetes_control.apiserver(self.machine, at, self.authority, address))
        self._await(self.etcd, self._etcd_listens)
        self.apiserver.start()
        self.write_kubeconfig(self.kubeconfig, by_certificate(self.authority.client("admin", ADMINISTRATORS)))
        self.controller_manager = self._add(
            kubernetes_control.controller_manager(
                self.machine, at, self._own_kubeconfig("kube-controller-manager")
            )
        )
        self.kubelet = self._add(
            kubernetes_node.kubelet(
                self.machine,
                at,
                programs() / "kubelet",
                address=address,
                kubeconfig=self._own_kubeconfig("kubelet"),
                serving=self.authority.server(NODE, address),
                authority=self.authority.certificate,
                cgroup=self._cgroup,
            )
        )
        self._await(self.apiserver, self.api.is_ready)

    def _start_kubelet(self) -> None:
        self.controller_manager.start()
        self.kubelet.start()
        self.wait_until_ready()

    def _add(self, daemon: Daemon) -> Daemon:
        self._daemons.append(daemon)
        return daemon

    def _own_kubeconfig(self, name: str) -> Path:
        user = by_certificate(self.authority.client(name, ADMINISTRATORS))
        return self.write_kubeconfig(self.directory / f"{name}.kubeconfig", user)

    def _etcd_listens(self) -> bool:
        try:
            self.machine.network.dial(2379).close()
        except OSError:
            return False
        return True

    def _node_is_ready(self) -> bool:
        nodes = self.api.get("/api/v1/nodes")["items"]
        return any(has_condition(node["status"], "Ready") for node in nodes)

    def _await(self, daemon: Daemon, condition: Callable[[], bool]) -> None:
        def answer() -> bool:
            daemon.check()
            return condition()

        wait_until(answer, f"{daemon.name} to serve", timeout=SECONDS, interval=0.03)

    def _rig(self, pod: dict[str, Any]) -> PodRig:
        return PodRig(self.machine, self.api, pod)

    @contextmanager
    def _workload(
        self,
        kind: str,
        name: str,
        *,
        replicas: int = 1,
        namespace: str = "default",
        model: bool = False,
        **spec: Any,
    ) -> Iterator[WorkloadRig]:
        workload = WorkloadRig(self.api, kind, namespace, name, self._rig, model=model)
        with ExitStack() as stack:
            stack.callback(workload.delete)
            workload.create(PodSpec(**spec), replicas)
            yield workload


RBAC = "/apis/rbac.authorization.k8s.io/v1"


def has_come(status: dict[str, Any], phase: str, *, ready: bool) -> bool:
    """Whether a pod is where it was wanted."""
    if status.get("phase") != phase:
        return False
    if phase == "Running" and ready:
        return has_condition(status, "Ready")
    # Until the node has tried it, a pod is Pending for no reason of its own.
    states = [container["state"] for container in status.get("containerStatuses", [])]
    reasons = [state.get("waiting", {}).get("reason") for state in states]
    return bool(reasons) and "ContainerCreating" not in reasons


def _request(event: dict[str, Any]) -> Request:
    about = event["objectRef"]
    resource = "/".join(about[part] for part in ("resource", "subresource") if part in about)
    return Request(
        event["user"]["username"],
        event["verb"],
        resource,
        about.get("namespace", ""),
        about.get("name", ""),
    )
