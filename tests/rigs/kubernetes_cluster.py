"""What a test does with a cluster, whoever runs it."""

import json
from abc import ABC, abstractmethod
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

from tests.rigs.kubernetes_api import Api
from tests.rigs.kubernetes_pods import SECONDS, PodRig, PodSpec, has_condition
from tests.rigs.kubernetes_workloads import WorkloadRig
from tests.rigs.waiting import wait_until

RBAC = "/apis/rbac.authorization.k8s.io/v1"

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


class Cluster(ABC):
    """A running cluster, and what a client needs to reach it."""

    api: Api
    context = "test"
    """Of `kubeconfig`."""

    default_namespace = "default"
    """Where things are unless another is named."""

    def __init__(self, directory: Path, kubeconfig: Path) -> None:
        """Keep files below a directory, whose path has to be short; the kubeconfig is an administrator's."""
        self.directory = directory
        self.kubeconfig = kubeconfig

    @abstractmethod
    def start(self) -> Self:
        """Return when pods can be started."""

    @abstractmethod
    def stop(self) -> None:
        """Leave nothing behind. Stopping twice is harmless."""

    @abstractmethod
    def requests(self) -> list[Request]:
        """What users have asked of resources so far, in order."""

    @abstractmethod
    def server(self) -> dict[str, Any]:
        """The cluster as kubeconfig has it: where it is, and how it is known to be itself."""

    @abstractmethod
    def process_of(self, container_id: str) -> Path:
        """The /proc directory of a container's first process, readable here."""

    def connections(self) -> int:
        """How many execs and port-forwards users have asked for so far."""
        return sum(request.resource in {"pods/exec", "pods/portforward"} for request in self.requests())

    def spec(self, **wanted: Any) -> PodSpec:
        """A pod as it can be had here."""
        return PodSpec(**wanted)

    def user(
        self,
        name: str,
        *rules: Rule,
        namespace: str | None = None,
        token: bool = False,
        context: str = "test",
    ) -> Path:
        """A user who may do this much in a namespace; returns their kubeconfig.

        They show a certificate where one can be made, or the token of a service account.
        """
        namespace = namespace or self.default_namespace
        rbac, core = (f"{group}/namespaces/{namespace}" for group in (RBAC, "/api/v1"))
        subject = {"kind": "User", "name": name}
        shown = None if token else self._certified(name)
        if shown is None:
            subject = {"kind": "ServiceAccount", "name": name, "namespace": namespace}
            self.api.create(f"{core}/serviceaccounts", {"metadata": {"name": name}})
            account = self.api.create(f"{core}/serviceaccounts/{name}/token", {"spec": {}})
            shown = {"token": account["status"]["token"]}
        self.api.create(f"{rbac}/roles", {"metadata": {"name": name}, "rules": rules})
        role = {"apiGroup": "rbac.authorization.k8s.io", "kind": "Role", "name": name}
        binding = {"metadata": {"name": name}, "subjects": [subject], "roleRef": role}
        self.api.create(f"{rbac}/rolebindings", binding)
        return self.write_kubeconfig(
            self.directory / f"{name}.kubeconfig", shown, namespace=namespace, context=context
        )

    def _certified(self, name: str) -> dict[str, Any] | None:  # noqa: ARG002  for those that can
        """A kubeconfig's user entry with a certificate of this name, where the cluster's key is ours."""
        return None

    def write_kubeconfig(
        self, path: Path, user: dict[str, Any], *, context: str = "test", namespace: str | None = None
    ) -> Path:
        """Write a kubeconfig for any user entry, readable by its owner only."""
        where = {"cluster": "test", "user": "user", "namespace": namespace or self.default_namespace}
        config = {
            "apiVersion": "v1",
            "kind": "Config",
            "current-context": context,
            "clusters": [{"name": "test", "cluster": self.server()}],
            "users": [{"name": "user", "user": user}],
            "contexts": [{"name": context, "context": where}],
        }
        path.touch(0o600)
        path.write_text(json.dumps(config))
        return path

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
        namespace: str | None = None,
        model: bool = False,
        phase: str = "Running",
        **spec: Any,
    ) -> Iterator[PodRig]:
        """A pod, removed at the end; `spec` is as in PodSpec, `model=True` has the scripted model on its loopback.

        It is waited for until it is in the phase, and ready if it can be; one whose image is missing stays Pending.
        """
        wanted = self.spec(**spec)
        body = wanted.template()
        body["metadata"]["name"] = name
        rig = self._rig(
            self.api.create(f"/api/v1/namespaces/{namespace or self.default_namespace}/pods", body)
        )
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

    def __enter__(self) -> Self:
        return self.start()

    def __exit__(self, *_: object) -> None:
        self.stop()

    def _rig(self, pod: dict[str, Any]) -> PodRig:
        return PodRig(self.api, self.process_of, pod)

    @contextmanager
    def _workload(
        self,
        kind: str,
        name: str,
        *,
        replicas: int = 1,
        namespace: str | None = None,
        model: bool = False,
        **spec: Any,
    ) -> Iterator[WorkloadRig]:
        where = namespace or self.default_namespace
        workload = WorkloadRig(self.api, kind, where, name, self._rig, model=model)
        with ExitStack() as stack:
            stack.callback(workload.delete)
            workload.create(self.spec(**spec), replicas)
            yield workload


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
