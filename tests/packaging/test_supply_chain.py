"""What is fetched is fixed by hashes, and what strangers send runs without privileges."""

import hashlib
import os
import re
import subprocess
import sys
from base64 import b64encode
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.docs.markdown import CHECKOUT

WORKFLOWS = sorted((CHECKOUT / ".github/workflows").glob("*.yml"))
FETCH = CHECKOUT / "scripts/fetch-npm"
PACKAGES = CHECKOUT / "scripts/npm-packages.txt"
PINNED = re.compile(r"[\w./-]+@[0-9a-f]{40}")
DIGEST = re.compile(r".+@sha256:[0-9a-f]{64}")
HASHED = re.compile(r"[\w.-]+==\S+( --hash=sha256:[0-9a-f]{64})+")

Fetch = Callable[[str, str], subprocess.CompletedProcess[str]]

by_workflow = pytest.mark.parametrize("path", WORKFLOWS, ids=lambda path: path.name)


def load(path: Path) -> dict[str, Any]:
    document: dict[Any, Any] = yaml.safe_load(path.read_text())
    return {
        "on" if key is True else key: value for key, value in document.items()
    }  # YAML 1.1 takes `on` for a boolean


def jobs(path: Path) -> Iterator[dict[str, Any]]:
    yield from load(path)["jobs"].values()


def committed() -> list[Path]:
    names = subprocess.run(
        ["git", "ls-files"], cwd=CHECKOUT, check=True, capture_output=True, text=True
    ).stdout
    return [CHECKOUT / name for name in names.splitlines()]


# -- workflows --


@by_workflow
def test_every_action_and_every_image_is_fixed(path: Path) -> None:
    for job in jobs(path):
        for step in job["steps"]:
            assert "uses" not in step or PINNED.fullmatch(step["uses"]), step
        assert "container" not in job or DIGEST.fullmatch(job["container"]["image"])


@by_workflow
def test_a_token_can_do_nothing_but_what_a_job_needs(path: Path) -> None:
    assert load(path)["permissions"] in ({}, {"contents": "read"})


@by_workflow
def test_no_checkout_leaves_its_token_behind(path: Path) -> None:
    for job in jobs(path):
        for step in job["steps"]:
            if step.get("uses", "").startswith("actions/checkout@"):
                assert step["with"]["persist-credentials"] is False


@by_workflow
def test_what_strangers_send_gets_neither_secrets_nor_rights(path: Path) -> None:
    events = load(path)["on"]
    text = path.read_text()

    assert "pull_request_target" not in events
    assert "workflow_run" not in events
    assert "secrets." not in text
    if "pull_request" in events:
        assert "write" not in str(
            [load(path)["permissions"], *(job.get("permissions") for job in jobs(path))]
        )
        assert {job["runs-on"] for job in jobs(path)} <= {"ubuntu-latest", "macos-latest"}


def test_only_the_job_that_runs_nothing_of_ours_can_publish() -> None:
    release = load(CHECKOUT / ".github/workflows/release.yml")["jobs"]

    assert [name for name, job in release.items() if "id-token" in job["permissions"]] == ["publish"]
    assert "checkout" not in str(release["publish"])
    assert "checkout" not in str(release["attach"])


# -- Python --


@pytest.mark.parametrize("group", ["", "dev"])
def test_each_package_that_is_installed_has_hashes(group: str) -> None:
    script = [sys.executable, "scripts/locked_requirements.py", *filter(None, [group])]
    lines = subprocess.run(
        script, cwd=CHECKOUT, check=True, capture_output=True, text=True
    ).stdout.splitlines()
    names = {line.partition("==")[0] for line in lines}

    assert all(HASHED.fullmatch(line) for line in lines)
    assert {"click", "h11", "cffi", "hatchling"} <= names  # the project's own, theirs, and the builder
    assert ("pytest" in names) is bool(group)


def test_the_whole_check_installs_with_them() -> None:
    assert "make venv" in (CHECKOUT / ".ci/run").read_text()
    assert "scripts/make-venv $(VENV) dev" in (CHECKOUT / "Makefile").read_text()
    assert "--require-hashes" in (CHECKOUT / "scripts/make-venv").read_text()


def test_a_package_with_another_content_is_not_installed(tmp_path: Path, wheel: Path) -> None:
    requirements = tmp_path / "requirements"
    requirements.write_text(f"ocattach @ {wheel.as_uri()} --hash=sha256:{'0' * 64}\n")
    install = [sys.executable, "-m", "pip", "install", "--no-deps", "--no-index", "--require-hashes"]
    folder = ["--target", str(tmp_path / "site")]
    done = subprocess.run(
        [*install, *folder, "--requirement", str(requirements)], check=False, capture_output=True, text=True
    )

    assert done.returncode
    assert "DO NOT MATCH THE HASHES" in done.stderr


# -- npm --


def test_each_package_of_npm_that_is_fetched_has_a_version_and_a_hash() -> None:
    lines = PACKAGES.read_text().splitlines()
    listed = {line.split()[0] for line in lines}

    assert all(re.fullmatch(r"(@[\w-]+/)?[\w-]+@\d+\.\d+\.\d+ sha512-[\w+/]{86}==", line) for line in lines)
    assert lines == sorted(lines)
    assert {"opencode-ai@1.18.33", "opencode-linux-x64@1.18.33"} <= listed


def test_nothing_is_fetched_from_npm_by_another_script() -> None:
    for script in (CHECKOUT / "scripts").iterdir():
        if script.is_file() and script != FETCH:
            installs = [
                line
                for line in script.read_text().splitlines()
                if re.search(r"\bnpm (pack|ci|exec)\b|\bnpx\b", line)
            ]
            assert not installs, script


@pytest.fixture
def fetch(tmp_path: Path) -> Fetch:
    """Runs fetch-npm with a list, and with an npm that gives a file of its own; nothing leaves the machine."""
    scripts, bin_ = tmp_path / "scripts", tmp_path / "bin"
    scripts.mkdir()
    bin_.mkdir()
    (scripts / "fetch-npm").write_bytes(FETCH.read_bytes())
    (scripts / "fetch-npm").chmod(0o755)
    npm = bin_ / "npm"
    npm.write_text("#!/bin/sh\nprintf content >thing-1.0.0.tgz\necho thing-1.0.0.tgz\n")
    npm.chmod(0o755)

    def run(listed: str, package: str) -> subprocess.CompletedProcess[str]:
        (scripts / "npm-packages.txt").write_text(listed)
        return subprocess.run(
            [scripts / "fetch-npm", package],
            cwd=tmp_path,
            env={**os.environ, "PATH": f"{bin_}:{os.environ['PATH']}"},
            check=False,
            capture_output=True,
            text=True,
        )

    return run


HASH = b64encode(hashlib.sha512(b"content").digest()).decode()


@pytest.mark.needs_programs
def test_a_package_that_is_as_listed_is_fetched(fetch: Fetch, tmp_path: Path) -> None:
    ran = fetch(f"thing@1.0.0 sha512-{HASH}\n", "thing@1.0.0")

    assert ran.stdout == "thing-1.0.0.tgz\n", ran.stderr
    assert (tmp_path / "thing-1.0.0.tgz").exists()


@pytest.mark.needs_programs
@pytest.mark.parametrize("listed", ["", f"thing@1.0.0 sha512-{'A' * 86}==\n", f"thing@1.0.1 sha512-{HASH}\n"])
def test_one_that_is_not_is_removed_and_named(fetch: Fetch, tmp_path: Path, listed: str) -> None:
    ran = fetch(listed, "thing@1.0.0")

    assert ran.returncode == 1
    assert "thing@1.0.0" in ran.stderr
    assert not (tmp_path / "thing-1.0.0.tgz").exists()


# -- names of registries --


def test_no_lock_file_names_where_npm_packages_came_from() -> None:
    for file in committed():
        if file.name in {"package-lock.json", "npm-shrinkwrap.json", "npm-packages.txt"}:
            assert "resolved" not in file.read_text()
            assert "://" not in file.read_text()
