"""What commands cost in counts that are the same on a fast and a busy machine: requests, system calls, modules."""

import re
import subprocess
import sys
from collections.abc import Callable, Sequence
from pathlib import Path

import pytest

from tests.main_job.laptop import OCATTACH, Laptop

ID = re.compile(r"/v[\d.]+/|[0-9a-f]{64}")


def request_counter(scheme: str, request: pytest.FixtureRequest) -> Callable[[], list[str]]:
    """Gives the requests that an engine or cluster has got so far, by its own log."""
    if scheme == "docker":
        engine = request.getfixturevalue("docker_engine")
        return lambda: [ID.sub("", call) for call in engine.calls()]
    cluster = request.getfixturevalue("kubernetes_cluster")
    return lambda: [f"{each.verb} {each.resource}" for each in cluster.requests()]


def system_calls(laptop: Laptop, log: Path, *arguments: str) -> int:
    """The system calls of a command, by strace, which writes a log."""
    _run(laptop, ["strace", "-f", "-c", "-U", "name,calls", "-o", str(log), *OCATTACH, *arguments])
    (total,) = [line.split()[-1] for line in log.read_text().splitlines() if "total" in line]
    return int(total)


def modules(laptop: Laptop, *arguments: str) -> int:
    """The modules that a command imports, with those of the interpreter itself."""
    reported = _run(laptop, [sys.executable, "-X", "importtime", *OCATTACH[1:], *arguments])
    return reported.count("import time:") - 1


def _run(laptop: Laptop, argv: Sequence[str]) -> str:
    ran = subprocess.run(
        argv, env=laptop.variables, cwd=laptop.cwd, check=True, capture_output=True, text=True, timeout=60
    )
    return ran.stderr
