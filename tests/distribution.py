"""Which tests share a process, where several processes share the tests: each starts the engines that it needs."""

import re

import pytest
from xdist.remote import Producer
from xdist.scheduler import LoadScopeScheduling

from tests.environments import ENVIRONMENTS

OF_A_CLUSTER = ("tests/kubernetes/", "tests/rigs/test_kubernetes.py")
"""A cluster takes ten seconds to start: all that needs one goes to one process."""


class ByEngine(LoadScopeScheduling):  # type: ignore[misc]
    """Hands out all tests of an environment together, else those of a module; the largest part first."""

    def _split_scope(self, nodeid: str) -> str:
        module = nodeid.partition("::")[0]
        if module.startswith(OF_A_CLUSTER):
            return "k8s"
        for name in sorted(ENVIRONMENTS, key=len, reverse=True):
            if re.search(rf"[\[-]{name}[\]-]", nodeid):
                return name
        return module


def pytest_xdist_make_scheduler(config: pytest.Config, log: Producer) -> ByEngine:
    """Distribute by engine, whatever `--dist` says."""
    return ByEngine(config, log)
