"""A cluster of the user's own, whose nodes run on this machine as those of kind, minikube and k3s do.

Only then can its pods be looked into from outside, as the tests do. Everything is made in a namespace of its own,
which is removed at the end. There is no audit log to read: tests that count requests are skipped.
"""

import json
import os
import re
import secrets
import subprocess
from pathlib import Path
from typing import Any, Self

import pytest

from tests.rigs.availability import Unavailable, need
from tests.rigs.kubernetes_api import Api, RefusedError
from tests.rigs.kubernetes_cluster import Cluster, Request
from tests.rigs.kubernetes_pods import PodSpec

KUBECONFIG_VARIABLE = "OCATTACH_TEST_KUBECONFIG"
IMAGE_VARIABLE = "OCATTACH_TEST_IMAGE"
SECONDS = 60
STATUS = {"(NotFound)": 404, "(Forbidden)": 403, "(Conflict)": 409, "(AlreadyExists)": 409}


class KubectlApi(Api):
    """A cluster as its administrator sees it, in whatever way kubectl gets in."""

    def __init__(self, kubeconfig: Path) -> None:
        self._kubectl = ["kubectl", "--kubeconfig", str(kubeconfig)]

    def get(self, path: str) -> Any:
        return self.run("get", "--raw", path)

    def create(self, path: str, body: object) -> Any:
        return self.run("create", "--raw", path, "--filename=-", stdin=json.dumps(body))

    def change(self, path: str, body: object) -> Any:
        *_, namespace, kind, name = path.split("/")
        patch = ("--type=merge", "--patch", json.dumps(body), "--output=json")
        return self.run("patch", "--namespace", namespace, kind, name, *patch)

    def delete(self, path: str) -> None:
        try:
            self.run("delete", "--raw", f"{path}?gracePeriodSeconds=0&propagationPolicy=Background")
        except RefusedError as error:
            if error.status != STATUS["(NotFound)"]:
                raise

    def run(self, *argv: str, stdin: str = "") -> Any:
        """What kubectl prints, decoded where it is JSON."""
        done = subprocess.run(
            [*self._kubectl, *argv],
            input=stdin,
            capture_output=True,
            text=True,
            check=False,
            timeout=SECONDS,
        )
        if done.returncode:
            status = next((number for word, number in STATUS.items() if word in done.stderr), 0)
            raise RefusedError(status, done.stderr)
        return json.loads(done.stdout) if done.stdout.startswith("{") else done.stdout


class GivenCluster(Cluster):
    """The cluster that a kubeconfig's current context leads to, as its administrator."""

    def __init__(self, directory: Path, kubeconfig: Path, image: str) -> None:
        """Use a cluster, and an image that has OpenCode and a shell."""
        need("kubectl", "nsenter", root=True)
        super().__init__(directory, kubeconfig)
        self._kubectl = KubectlApi(kubeconfig)
        self.api = self._kubectl
        self._image = image
        self._server: dict[str, Any] = {}

    def start(self) -> Self:
        config = self._kubectl.run("config", "view", "--raw", "--minify", "--flatten", "--output=json")
        self._server = config["clusters"][0]["cluster"]
        self.context = config["current-context"]
        self.default_namespace = f"ocattach-test-{secrets.token_hex(4)}"
        self.api.create("/api/v1/namespaces", {"metadata": {"name": self.default_namespace}})
        return self

    def stop(self) -> None:
        self.api.delete(f"/api/v1/namespaces/{self.default_namespace}")

    def server(self) -> dict[str, Any]:
        return self._server

    def spec(self, **wanted: Any) -> PodSpec:
        spec = PodSpec(**wanted, image=self._image)
        if absent := {"bare", "pause"} & set(spec.containers.values()):
            pytest.skip(f"{KUBECONFIG_VARIABLE}: its nodes do not have the image {absent}")
        return spec

    def process_of(self, container_id: str) -> Path:
        return first_process(container_id.partition("://")[2])

    def requests(self) -> list[Request]:
        pytest.skip(f"{KUBECONFIG_VARIABLE}: its audit log cannot be read")


def given_cluster(directory: Path) -> GivenCluster | None:
    """The cluster that the variables name, if they do."""
    kubeconfig, image = (os.environ.get(name) for name in (KUBECONFIG_VARIABLE, IMAGE_VARIABLE))
    if not kubeconfig:
        return None
    if not image:
        raise Unavailable(f"{KUBECONFIG_VARIABLE} needs {IMAGE_VARIABLE}: an image that has opencode")
    return GivenCluster(directory, Path(kubeconfig), image)


def first_process(name: str) -> Path:
    """The first process of a container that runs on this machine: its cgroups are called after it."""
    inside = re.compile(rf"[/-]{re.escape(name)}(\.scope)?$", re.MULTILINE)
    for process in Path("/proc").glob("[0-9]*"):
        try:
            if inside.search((process / "cgroup").read_text()) and _is_first(process):
                return process
        except OSError:
            continue
    raise Unavailable(f"container {name} does not run on this machine, and cannot be looked into")


def _is_first(process: Path) -> bool:
    """Whether it is process 1 of its own namespace."""
    numbers = re.search(r"^NSpid:(.*)$", (process / "status").read_text(), re.MULTILINE)
    return numbers is not None and numbers[1].split()[-1] == "1"
