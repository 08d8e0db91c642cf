"""A real Kubernetes of our own, of one node: kube-apiserver, kubelet, controllers, etcd and containerd.

All of it runs on one machine in namespaces, which a cable connects with this one: nothing of it is seen elsewhere,
and it ends at once. `scripts/install-kubernetes` makes the programs. Several clusters at once do not collide.
"""

import json
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from pathlib import Path
from typing import Any, Self

from tests.rigs import cgroups, images, kubernetes_control, kubernetes_node, links
from tests.rigs.availability import need, need_static
from tests.rigs.daemons import Daemon
from tests.rigs.kubernetes_api import PORT, Api
from tests.rigs.kubernetes_certificates import Authority
from tests.rigs.kubernetes_cluster import (
    EXEC,
    GET_PODS,
    GET_WORKLOADS,
    LIST_PODS,
    PORT_FORWARD,
    Cluster,
    Request,
    Rule,
)
from tests.rigs.kubernetes_control import ADMINISTRATORS, by_certificate, programs
from tests.rigs.kubernetes_node import NODE
from tests.rigs.kubernetes_pods import SECONDS, has_condition
from tests.rigs.namespaces import PROGRAMS, Confined, init_program
from tests.rigs.waiting import wait_until

__all__ = [
    "EXEC",
    "GET_PODS",
    "GET_WORKLOADS",
    "LIST_PODS",
    "PORT_FORWARD",
    "Cluster",
    "KubernetesCluster",
    "Request",
    "Rule",
]

NEEDED = (*PROGRAMS, "containerd", "ctr", "runc", "iptables", "busybox", "ldd", "openssl", "kubectl")


class KubernetesCluster(Cluster):
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
        need_static(images.BUSYBOX, "busybox-static")
        init_program()
        programs()
        super().__init__(directory, directory / "kubeconfig")
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

    def requests(self) -> list[Request]:
        # The cluster's own parts and this rig are left out by the audit policy.
        found = []
        for line in (self.directory / "audit.log").read_text().splitlines():
            event = json.loads(line)
            if event["stage"] == "RequestReceived" and "objectRef" in event:
                found.append(_request(event))
        return found

    def server(self) -> dict[str, Any]:
        return {"server": self.url, "certificate-authority": str(self.authority.certificate)}

    def process_of(self, container_id: str) -> Path:
        return kubernetes_node.container_process(self.machine, container_id)

    def _certified(self, name: str) -> dict[str, Any]:
        return by_certificate(self.authority.client(name))

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
