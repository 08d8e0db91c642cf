"""Pods of a cluster, seen from outside and from inside."""

import os
import signal
import subprocess
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from http import HTTPStatus
from pathlib import Path
from typing import Any

from tests.rigs import images
from tests.rigs.furnished import Furnished, Ran
from tests.rigs.images import HOMES, USER, USER_ID
from tests.rigs.kubernetes_api import Api, RefusedError
from tests.rigs.kubernetes_node import NODE
from tests.rigs.opencode import ENVIRONMENT, opencode_bin, opencode_config
from tests.rigs.waiting import wait_until

SECONDS = 60
FOREVER = "2000000000"
NAMESPACES = {"mount": "mnt", "pid": "pid", "net": "net", "uts": "uts", "ipc": "ipc"}


@dataclass(frozen=True, slots=True, kw_only=True)
class PodSpec:
    """What a test may want of a pod."""

    containers: Mapping[str, str] = field(default_factory=lambda: {"main": "minimal"})
    """The image variant of each container, by its name; a variant that does not exist is an image that is missing."""

    opencode: bool = True
    """Mounted into containers that can run it."""

    user: str | None = None
    command: Sequence[str] | None = None
    """In the place of one that waits, and reaps what others leave: nobody else in a pod does."""

    ready: bool = True
    """Whether its readiness probe succeeds."""

    environment: Mapping[str, str] = field(default_factory=dict)
    labels: Mapping[str, str] = field(default_factory=dict)
    mounts: Mapping[str, Path] = field(default_factory=dict)
    """Folders of the node's that outlive the pod, by their places in it."""

    settings: Mapping[str, Any] = field(default_factory=dict)
    """More of the pod's `spec`."""

    image: str | None = None
    """One that has OpenCode, in the place of `minimal`, for a cluster whose nodes are not the rig's."""

    def template(self) -> dict[str, Any]:
        """The pod for the cluster, without a name."""
        mounted = self.opencode and not self.image
        program = {"path": opencode_bin(), "type": "File"} if mounted else None
        spec = {
            **({} if self.image else {"nodeName": NODE}),  # on the rig's node, nobody else would choose it
            "automountServiceAccountToken": False,
            "enableServiceLinks": False,
            "terminationGracePeriodSeconds": 0,
            "dnsPolicy": "Default",
            "containers": [self._container(name, variant) for name, variant in self.containers.items()],
            "volumes": self._volumes({"opencode": program} if program else {}),
            **self.settings,
        }
        if self.user:
            spec["securityContext"] = {"runAsUser": USER_ID, "runAsGroup": USER_ID}
        return {"metadata": {"labels": dict(self.labels)}, "spec": spec}

    def _volumes(self, paths: Mapping[str, Mapping[str, str]]) -> list[dict[str, Any]]:
        folders = {
            f"folder-{number}": {"path": str(folder), "type": "Directory"}
            for number, folder in enumerate(self.mounts.values())
        }
        return [{"name": name, "hostPath": path} for name, path in {**paths, **folders}.items()]

    def _container(self, name: str, variant: str) -> dict[str, Any]:
        variables = {**ENVIRONMENT, **({"HOME": HOMES[USER]} if self.user else {}), **self.environment}
        waiting = ["/sleep", FOREVER] if variant == "pause" else ["sh", "-c", f"sleep {FOREVER} & wait"]
        container: dict[str, Any] = {
            "name": name,
            "image": self.image if self.image and variant == "minimal" else images.reference(variant),
            "imagePullPolicy": "IfNotPresent" if self.image else "Never",
            "command": list(self.command or waiting),
            "env": [{"name": key, "value": value} for key, value in variables.items()],
        }
        mounts: list[dict[str, Any]] = [
            {"name": f"folder-{number}", "mountPath": place} for number, place in enumerate(self.mounts)
        ]
        if self.opencode and not self.image and variant == "minimal":
            mounts.append({"name": "opencode", "mountPath": images.OPENCODE_PATH, "readOnly": True})
        if mounts:
            container["volumeMounts"] = mounts
        if not self.ready:
            container["readinessProbe"] = {"exec": {"command": ["false"]}, "periodSeconds": 1}
        return container


class PodRig(Furnished):
    """One pod; its paths, network and commands are those of one container, the first unless said."""

    def __init__(self, api: Api, find: Callable[[str], Path], pod: Mapping[str, Any]) -> None:
        """Take a pod from what the cluster says of it; `find` gives a container's first process by its ID."""
        self.name: str = pod["metadata"]["name"]
        self.namespace: str = pod["metadata"]["namespace"]
        self.uid: str = pod["metadata"]["uid"]
        self.containers: list[str] = [container["name"] for container in pod["spec"]["containers"]]
        self._api = api
        self._find = find
        self._processes: dict[str, Path] = {}

    @property
    def status(self) -> dict[str, Any]:
        """What the cluster says of it."""
        status: dict[str, Any] = self._api.get(self._path)["status"]
        return status

    @property
    def process(self) -> Path:
        return self.process_of(self.containers[0])

    def process_of(self, container: str) -> Path:
        """The /proc directory of a container's first process, readable here; also while the apiserver is down."""
        known = self._processes.get(container)
        if known is None or not known.exists():
            known = self._processes[container] = self._find_process(container)
        return known

    def is_ready(self) -> bool:
        """Whether the cluster says so."""
        return has_condition(self.status, "Ready")

    def run(
        self, *argv: str, user: str = "", workdir: str | None = None, container: str | None = None
    ) -> Ran:
        """Run a command inside to its end, without asking the cluster."""
        process = self.process_of(container or self.containers[0])
        spaces = [f"--{name}={process}/ns/{file}" for name, file in NAMESPACES.items()]
        place = [f"--root={process}/root", f"--wd={process}/root{workdir or '/'}"]
        account = ["-S", str(USER_ID), "-G", str(USER_ID)] if user else []
        home = HOMES[USER] if user else HOMES["root"]
        done = subprocess.run(
            ["nsenter", *spaces, *place, *account, "--", *argv],
            capture_output=True,
            text=True,
            check=False,
            env={**ENVIRONMENT, "PATH": images.SEARCH_PATH, "HOME": home},
            timeout=SECONDS,
        )
        return Ran(done.returncode, done.stdout, done.stderr)

    def delete(self) -> None:
        """Delete it as a user does, and return when nothing of it runs. It may be gone already."""
        processes = self._running()
        self._api.delete(self._path)
        wait_until(lambda: not any(map(Path.exists, processes)), f"{self.name} to end", timeout=SECONDS)

    def remove(self) -> None:
        """Have it gone, sooner than kubelet would see to it."""
        processes = self._running()
        self._api.delete(self._path)
        for process in processes:
            kill(process)
        wait_until(lambda: not any(map(Path.exists, processes)), f"{self.name} to end", timeout=SECONDS)

    def furnish(self, user: str | None = None) -> None:
        """Let a daemon in it find the model."""
        self.write(self.config_path(user), opencode_config(), user=user)

    def _find_process(self, container: str) -> Path:
        for status in self.status.get("containerStatuses", []):
            if status["name"] == container and "running" in status["state"]:
                return self._find(status["containerID"])
        raise RuntimeError(f"no container {container!r} runs in {self.name}")

    def _running(self) -> list[Path]:
        """The first processes of its containers that run."""
        try:
            statuses = self.status.get("containerStatuses", [])
        except RefusedError as error:
            if error.status != HTTPStatus.NOT_FOUND:
                raise
            return []
        running = [status["containerID"] for status in statuses if "running" in status["state"]]
        return [self._find(identifier) for identifier in running]

    @property
    def _path(self) -> str:
        return f"/api/v1/namespaces/{self.namespace}/pods/{self.name}"


def kill(process: Path) -> None:
    """End a process, which may be gone, by its directory in whatever /proc."""
    with suppress(FileNotFoundError, ProcessLookupError):
        # The directory may stand for the process: pidfd_send_signal(2).
        directory = os.open(process, os.O_RDONLY | os.O_DIRECTORY)
        try:
            signal.pidfd_send_signal(directory, signal.SIGKILL)
        finally:
            os.close(directory)


def has_condition(status: Mapping[str, Any], name: str) -> bool:
    """Whether a condition of a status holds."""
    conditions = status.get("conditions", [])
    return any(condition["type"] == name and condition["status"] == "True" for condition in conditions)
