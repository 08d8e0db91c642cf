"""Which tests share a process, where several processes share the tests: each starts the engines that it needs."""

import re

import pytest
from xdist.remote import Producer
from xdist.scheduler import LoadScopeScheduling
from xdist.workermanage import WorkerController

from tests.environments import ENVIRONMENTS

OF_A_CLUSTER = ("tests/kubernetes/", "tests/rigs/test_kubernetes.py")
"""A cluster takes ten seconds to start: all that needs one goes to one process."""

SECONDS = {
    "tests/faults/": 20,
    "tests/main_job/": 5,
    "tests/sessions/": 5,
    "tests/contract/test_commands": 0.1,
    "tests/contract/test_daemons": 3,
    "tests/contract/test_load": 10,
    "tests/contract/": 1,
    "tests/hostile/test_quoting": 0.1,
    "tests/hostile/": 3,
    "tests/versions/": 7,
    "tests/opencode/": 5,
    "tests/doctor/": 4,
    "tests/docs/test_demo": 6,
    "tests/docs/test_blocks": 7,
    "tests/docs/test_pictures": 15,
    "tests/docs/": 0.1,
    "tests/cli/test_layout": 8,
    "tests/packaging/test_wheel": 5,
    "tests/packaging/test_zipapp": 5,
    "tests/rigs/": 4,
    "tests/containers/": 3,
    "tests/config/": 0.1,
    "tests/fuzz/": 0.1,
    "tests/tunnel/": 0.5,
}
"""What a test takes there, roughly; elsewhere it is one. The first that fits counts."""


class ByEngine(LoadScopeScheduling):  # type: ignore[misc]
    """Hands out all tests of an environment together, else those of a module; the longest part first."""

    def _split_scope(self, nodeid: str) -> str:
        module = nodeid.partition("::")[0]
        if module.startswith(OF_A_CLUSTER):
            return "k8s"
        for name in sorted(ENVIRONMENTS, key=len, reverse=True):
            if re.search(rf"[\[-]{name}[\]-]", nodeid):
                return name
        return module

    def _assign_work_unit(self, node: WorkerController) -> None:
        longest = max(self.workqueue, key=lambda scope: sum(map(seconds, self.workqueue[scope])))
        self.workqueue.move_to_end(longest, last=False)
        super()._assign_work_unit(node)


def seconds(nodeid: str) -> float:
    """How long a test takes, roughly."""
    return next((known for start, known in SECONDS.items() if nodeid.startswith(start)), 1)


def pytest_xdist_make_scheduler(config: pytest.Config, log: Producer) -> ByEngine:
    """Distribute by engine, whatever `--dist` says."""
    return ByEngine(config, log)
