"""The ladder of this machine: programs, files and links, without asking any engine."""

import json
import os
import socket
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from tests.rigs.directories import short_directory


@pytest.fixture
def home(workdir: Path) -> Path:
    """A home with an opencode that npm has put there."""
    package = workdir / "bin/node_modules/opencode-ai"
    (package / "bin").mkdir(parents=True)
    (package / "package.json").write_text(json.dumps({"name": "opencode-ai", "version": "1.18.33"}))
    program = package / "bin/opencode.exe"
    program.write_text("#!/bin/sh\nexit 1\n")
    program.chmod(0o755)
    (workdir / "bin/opencode").symlink_to(program)
    for name in ("config", "state", "project"):
        (workdir / name).mkdir(mode=0o700)
    return workdir


def doctor(home: Path, **variables: str) -> tuple[int, dict[str, dict[str, Any]]]:
    """Exit code and rungs."""
    environment: Mapping[str, str] = {
        "HOME": str(home),
        "PATH": f"{home}/bin",
        "OCATTACH_CONFIG_DIR": str(home / "config"),
        "OCATTACH_STATE_DIR": str(home / "state"),
        "OCATTACH_RUNTIME_DIR": str(home / "run"),
        **variables,
    }
    ran = subprocess.run(
        [sys.executable, "-m", "ocattach", "doctor", "-o", "json"],
        env=environment,
        cwd=home / "project",
        capture_output=True,
        text=True,
        check=False,
    )
    assert ran.stdout, ran.stderr
    return ran.returncode, {rung["rung"]: rung for rung in json.loads(ran.stdout)["rungs"]}


def test_a_machine_on_which_all_is_well_says_what_is_there(home: Path) -> None:
    code, rungs = doctor(home)

    assert code == 0
    assert not [name for name, rung in rungs.items() if rung["status"] == "failed"]
    assert rungs["tui"]["found"] == f"1.18.33 at {home}/bin/opencode"
    assert rungs["ssh"]["status"] == "warning"
    assert "podman" in rungs["podman"]["found"]


def test_no_engine_is_asked(home: Path) -> None:
    with socket.socket(socket.AF_UNIX) as engine:
        engine.bind(str(home / "engine"))
        engine.listen()
        engine.setblocking(False)
        code, rungs = doctor(home, DOCKER_HOST=f"unix://{home}/engine")

        assert code == 0
        assert rungs["docker"]["found"] == f"unix://{home}/engine"
        with pytest.raises(BlockingIOError):
            engine.accept()


def test_a_machine_without_opencode_is_told_with_the_command_that_installs_it(home: Path) -> None:
    (home / "bin/opencode").unlink()
    code, rungs = doctor(home)

    assert code == 7
    assert "npm install -g opencode-ai" in rungs["tui"]["error"]["hint"]


@pytest.mark.parametrize("name", ["config", "state"])
def test_a_directory_of_ours_that_others_can_write_is_told_with_the_command_that_closes_it(
    home: Path, name: str
) -> None:
    (home / name).chmod(0o777)
    code, rungs = doctor(home)

    assert code == 2
    failed = [rung for rung in rungs.values() if rung["status"] == "failed"]
    assert [rung["error"]["hint"] for rung in failed] == [f"Restrict it: chmod go-w {home / name}"]


def test_a_runtime_directory_that_is_open_to_others_is_told(home: Path) -> None:
    (home / "run").mkdir(mode=0o755)
    code, rungs = doctor(home)

    assert code == 2
    assert rungs["links"]["error"]["hint"] == f"Change its mode: chmod 700 {home}/run"


def test_damaged_files_are_told_by_name_and_the_rest_is_looked_at(home: Path) -> None:
    (home / "config/connections").mkdir()
    (home / "config/connections/broken.yaml").write_text("transport: [")
    (home / "config/config.yaml").write_text("link_idle_second: 5\n")
    code, rungs = doctor(home)

    assert code == 2
    assert "broken.yaml" in rungs["connections"]["found"]
    assert "link_idle_second" in rungs["settings"]["found"]
    assert rungs["links"]["status"] == "ok"


def test_what_a_project_defines_and_nobody_has_approved_is_a_warning(home: Path) -> None:
    folder = home / "project/.opencode"
    folder.mkdir()
    entry = {"transport": "docker", "container": "frontend-app"}
    (folder / "ocattach.json").write_text(json.dumps({"environments": {"team": entry}}))
    code, rungs = doctor(home)

    assert code == 0
    assert rungs["project"]["status"] == "warning"
    assert "ocattach trust team" in rungs["project"]["found"]


def test_links_that_were_killed_are_told(home: Path) -> None:
    (home / "run").mkdir(mode=0o700)
    with short_directory() as elsewhere, socket.socket(socket.AF_UNIX) as dead:
        dead.bind(str(elsewhere / "s"))
        os.rename(elsewhere / "s", home / "run/0123456789abcdef.sock")  # noqa: PTH104 - a socket
    code, rungs = doctor(home)

    assert code == 0
    assert rungs["links"]["found"].startswith("0 running, 1 not answering")
