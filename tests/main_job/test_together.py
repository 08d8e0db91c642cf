"""Two terminals at the same moment."""

import json

import pytest

from tests.main_job.laptop import Daemon, Laptop


@pytest.mark.parametrize("environment", ["docker"], indirect=True)
def test_two_at_once_on_a_cold_environment_share_one_daemon_and_one_link(laptop: Laptop) -> None:
    processes = [laptop.start("frontend", "--print-url", "-o", "json") for _ in range(2)]
    outputs = [process.communicate(timeout=60) for process in processes]

    assert [process.returncode for process in processes] == [0, 0], outputs
    daemons = [Daemon(json.loads(stdout)) for stdout, _ in outputs]
    assert sorted(daemon.document["daemon"]["started"] for daemon in daemons) == [False, True]
    assert len({daemon.document["daemon"]["pid"] for daemon in daemons}) == 1
    assert len({daemon.document["url"] for daemon in daemons}) == 1
    assert [daemon.request("GET", "/global/health")[0] for daemon in daemons] == [200, 200]
    serving = [process for process in laptop.environment.processes() if "serve" in process.cmdline()]
    assert len(serving) == 1
    assert len(laptop.links()) == 1
