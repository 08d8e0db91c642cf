"""Deployments and StatefulSets: pods that the cluster's own controllers make, and make again."""

from collections.abc import Callable
from contextlib import ExitStack
from typing import Any

from tests.rigs.kubernetes_api import Api
from tests.rigs.kubernetes_pods import SECONDS, PodRig, PodSpec, has_condition
from tests.rigs.waiting import wait_until

Find = Callable[[dict[str, Any]], PodRig]
"""Makes the rig of a pod from what the cluster says of it."""


class WorkloadRig:
    """A Deployment or a StatefulSet; its pods carry the label app=NAME."""

    def __init__(self, api: Api, kind: str, namespace: str, name: str, find: Find, *, model: bool) -> None:
        self.kind = kind
        self.name = name
        self.namespace = namespace
        self._api = api
        self._find = find
        self._model = model
        self._furnished: dict[str, PodRig] = {}
        self._models = ExitStack()

    @property
    def pods(self) -> list[PodRig]:
        """The pods that are ready, furnished, the oldest first."""
        ready = [pod for pod in self._listed() if is_ready(pod)]
        ready.sort(key=lambda pod: (pod["metadata"]["creationTimestamp"], pod["metadata"]["name"]))
        return [self._furnish(pod) for pod in ready]

    @property
    def pod(self) -> PodRig:
        """The oldest."""
        return self.pods[0]

    def replace_pod(self, pod: PodRig | None = None) -> PodRig:
        """Delete a pod, the oldest unless said, and give the one that the controller puts in its place."""
        known = {other.uid for other in self.pods}
        (pod or self.pod).delete()

        def successor() -> PodRig | None:
            return next((new for new in self.pods if new.uid not in known), None)

        return wait_until(successor, f"{self.name} to have a new pod", timeout=SECONDS, interval=0.05)

    def scale(self, replicas: int) -> None:
        """Have so many pods, and return when there are."""
        self._api.change(f"{self._path}/{self.name}", {"spec": {"replicas": replicas}})
        self.wait_for(replicas)

    def create(self, spec: PodSpec, replicas: int) -> None:
        """Bring it up."""
        labels = {"app": self.name}
        template = spec.template()
        template["metadata"]["labels"] |= labels
        settings = {"replicas": replicas, "selector": {"matchLabels": labels}, "template": template}
        if self.kind == "StatefulSet":
            settings["serviceName"] = self.name
        body = {
            "apiVersion": "apps/v1",
            "kind": self.kind,
            "metadata": {"name": self.name},
            "spec": settings,
        }
        self._api.create(self._path, body)
        if spec.ready:
            self.wait_for(replicas)

    def wait_for(self, replicas: int) -> None:
        """Return when so many pods are ready, and none but these are there."""
        wait_until(
            lambda: [is_ready(pod) for pod in self._listed()] == [True] * replicas,
            f"{self.name} to have {replicas} pods",
            timeout=SECONDS,
            interval=0.05,
        )

    def delete(self) -> None:
        """End it and its pods."""
        self._models.close()
        self._api.delete(f"{self._path}/{self.name}")
        for pod in self._listed():
            self._find(pod).remove()
        wait_until(lambda: not self._listed(), f"{self.name} to end", timeout=SECONDS, interval=0.05)

    def _listed(self) -> list[dict[str, Any]]:
        path = f"/api/v1/namespaces/{self.namespace}/pods?labelSelector=app%3D{self.name}"
        found: list[dict[str, Any]] = self._api.get(path)["items"]
        return found

    def _furnish(self, listed: dict[str, Any]) -> PodRig:
        uid = listed["metadata"]["uid"]
        if uid not in self._furnished:
            pod = self._furnished[uid] = self._find(listed)
            pod.furnish()
            if self._model:
                self._models.enter_context(pod.serve_model())
        return self._furnished[uid]

    @property
    def _path(self) -> str:
        return f"/apis/apps/v1/namespaces/{self.namespace}/{self.kind.lower()}s"


def is_ready(listed: dict[str, Any]) -> bool:
    """Whether a pod of a list is ready and stays."""
    return "deletionTimestamp" not in listed["metadata"] and has_condition(listed["status"], "Ready")
