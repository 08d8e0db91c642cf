"""Attaching by a transport that another package brings."""

import subprocess
import sys
from pathlib import Path

import pytest

from tests.rigs.local import LocalMachine

PLUGIN = """
from ocattach.config.targets.base import Target
from ocattach.transports.local import LocalTransport


class ElsewhereTarget(Target):
    scheme = "elsewhere"
    keys = {"machine": {"description": "Name of the machine.", "type": "string"}}

    def __init__(self, machine):
        self.machine = machine

    @classmethod
    def from_entry(cls, entry):
        return cls(entry["machine"])

    def to_entry(self):
        return {"machine": self.machine}

    @classmethod
    def from_uri(cls, parts):
        machine, _, workdir = parts.body.partition(":")
        return cls(machine), workdir or None

    def uri(self, workdir=None):
        return f"elsewhere://{self.machine}" + (f":{workdir}" if workdir else "")


class ElsewhereTransport(LocalTransport):
    scheme = "elsewhere"
    target = ElsewhereTarget
"""


@pytest.fixture
def site(tmp_path: Path) -> Path:
    """A directory for sys.path with the installed package."""
    metadata = tmp_path / "elsewhere-1.0.dist-info"
    metadata.mkdir()
    (metadata / "METADATA").write_text("Metadata-Version: 2.1\nName: elsewhere\nVersion: 1.0\n")
    (metadata / "entry_points.txt").write_text(
        "[ocattach.transports]\nelsewhere = elsewhere:ElsewhereTransport\n"
    )
    (tmp_path / "elsewhere.py").write_text(PLUGIN)
    return tmp_path


def test_a_transport_of_another_package_starts_a_daemon_and_stops_it(local: LocalMachine, site: Path) -> None:
    path = f"{local.environment.get('PYTHONPATH', '')}:{site}".removeprefix(":")
    uri = f"elsewhere://build-7:{local.workdir}"

    def ocattach(*arguments: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [sys.executable, "-m", "ocattach", *arguments],
            env={**local.environment, "PYTHONPATH": path},
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )

    attached = ocattach(uri, "--print-url")
    stopped = ocattach(uri, "--stop")

    assert attached.stdout.startswith("http://"), attached.stderr
    assert stopped.returncode == 0, stopped.stderr
