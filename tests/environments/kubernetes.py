"""A pod of a cluster."""

import itertools
from collections.abc import Iterator
from contextlib import contextmanager
from urllib.parse import urlsplit

import pytest

from tests.environments.container import processes_of_container, two_processes_of
from tests.environments.environment import Environment, programs
from tests.rigs.directories import short_directory
from tests.rigs.kubernetes import Cluster
from tests.rigs.local import user_environment
from tests.rigs.waiting import wait_until

numbers = itertools.count(1)
"""For names: a kubelet may run a command in the pod that had the name just before, when that was deleted in haste."""


@contextmanager
def kubernetes_environment(request: pytest.FixtureRequest) -> Iterator[Environment]:
    """A new pod, and the cluster's administrator."""
    cluster: Cluster = request.getfixturevalue("kubernetes_cluster")
    where = {"transport": "k8s", "context": cluster.context, "namespace": cluster.default_namespace}
    name = f"frontend-app-{next(numbers)}"
    with short_directory() as laptop, cluster.pod(name, model=True) as pod:
        assert pod.model is not None
        at_first = wait_until(lambda: two_processes_of(pod), "the container's program to start")
        yield Environment(
            entry={**where, "pod": name},
            variables={
                **user_environment(laptop, programs(laptop)),
                "KUBECONFIG": str(cluster.kubeconfig),
                # A proxy counts for clusters, as it does with kubectl; who has one excepts what is near.
                **dict.fromkeys(
                    ("NO_PROXY", "no_proxy"), urlsplit(cluster.server()["server"]).hostname or ""
                ),
            },
            workdir="/work",
            home=pod.path("/root"),
            model=pod.model,
            network=pod.network,
            processes=lambda: [p for p in processes_of_container(pod) if p not in at_first],
            connections=cluster.connections,
            route="relay",
            missing={**where, "pod": "frontend-ap"},
            laptop=laptop,
        )
