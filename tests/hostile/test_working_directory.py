"""No program that ocattach starts, there or here, loads anything from the working directory, such as a repository."""

import os
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

import pytest

from ocattach.daemon import (
    DaemonSettings,
    probe,
    read_logs,
    read_proxies,
    start_daemon,
    stop_daemon,
)
from ocattach.daemon.listener import find_listener
from ocattach.execution import CommandResult
from ocattach.opencode.runtime import javascript_argv
from ocattach.opencode.tui.launch import ask_version
from ocattach.opencode.versions import printed_version
from ocattach.transports.containers.podman_service import PodmanService
from ocattach.tunnel.relay import relay_source

pytestmark = pytest.mark.needs_programs

TOUCH = "/usr/bin/touch"
RELATIVE = ".::node_modules/.bin:/usr/bin:/bin"
"""A PATH that names the working directory in each of three ways."""

DAEMON = "#!/bin/sh\necho opencode server listening on http://127.0.0.1:4711\nexec /usr/bin/sleep 60\n"
LOGIN_SHELL = '#!/bin/sh\necho; echo "ocattach-path=/nowhere:$PATH"\n'
MODULES = ("esprima", "node-gyp", "node:fs", "node:net", "fs", "net", "bun:ffi", "click", "docker")


@pytest.fixture
def repository(tmp_path: Path) -> Path:
    """A directory with a program of every name, and whatever else programs load from where they are started."""
    folder = tmp_path / "repository"
    programs = folder / "node_modules/.bin"
    programs.mkdir(parents=True)
    program = folder / "program"
    program.write_text(
        f'#!/bin/sh\n{TOUCH} "{tmp_path}/pwned-by-${{0##*/}}"\nexec "/usr/bin/${{0##*/}}" "$@"\n'
    )
    program.chmod(0o755)
    names = {path.name for path in Path("/usr/bin").iterdir()}
    for name in {*names, "opencode", "npm", "node", "podman", "docker", "kubectl"}:
        (folder / name).symlink_to(program)
        (programs / name).symlink_to(program)
    script = f"require('fs').writeFileSync('{tmp_path}/pwned-by-module', ''); module.exports = {{}}\n"
    python = f"open('{tmp_path}/pwned-by-python', 'w')\n"
    for name in MODULES:
        (folder / "node_modules" / name).mkdir(exist_ok=True)
        (folder / "node_modules" / name / "index.js").write_text(script)
        (folder / f"{name}.py").write_text(python)
    files = {
        "evil.js": script,
        "sitecustomize.py": python,
        "selectors.py": python,
        "bunfig.toml": 'preload = ["./evil.js"]\n',
        ".env": f"BUN_OPTIONS=--preload={folder}/evil.js\nNODE_OPTIONS=--require={folder}/evil.js\n",
        "tsconfig.json": '{"compilerOptions": {"baseUrl": ".", "paths": {"*": ["./evil.js"]}}}',
        "package.json": '{"name": "x", "imports": {"node:net": "./evil.js"}, "browser": {"node:net": "./evil.js"}}',
        ".npmrc": f"prefix={folder}\nnode-options=--require={folder}/evil.js\n",
        ".profile": f"{TOUCH} {tmp_path}/pwned-by-profile\n",
        ".ssh/config": f"ProxyCommand {TOUCH} {tmp_path}/pwned-by-ssh\n",
        ".git/config": f'[core]\n\tfsmonitor = "{TOUCH} {tmp_path}/pwned-by-git"\n',
        ".git/HEAD": "ref: refs/heads/main\n",
    }
    for name, text in files.items():
        (folder / name).parent.mkdir(exist_ok=True)
        (folder / name).write_text(text)
    return folder


def loaded(repository: Path) -> list[str]:
    """What of the repository ran."""
    return sorted(path.name for path in repository.parent.glob("pwned-by-*"))


class Machine:
    """An environment in which commands start in the repository, with a PATH that leads to it."""

    def __init__(self, repository: Path) -> None:
        self.repository, self.home = repository, repository.parent / "home"
        self.home.mkdir()

    def variables(self) -> Mapping[str, str]:
        """The environment of its commands."""
        shell = self.write("shell", LOGIN_SHELL)
        return {"HOME": str(self.home), "PATH": RELATIVE, "SHELL": shell, "LC_ALL": "C.UTF-8"}

    def write(self, name: str, text: str) -> str:
        """Have a program in the home."""
        (self.home / name).write_text(text)
        (self.home / name).chmod(0o755)
        return str(self.home / name)

    def run(self, argv: Sequence[str], *, stdin: bytes = b"", timeout: float) -> CommandResult:
        """Run a command, the shell of which is the system's."""
        ran = subprocess.run(
            ["/bin/sh", *argv[1:]],
            input=stdin,
            capture_output=True,
            cwd=self.repository,
            env=self.variables(),
            timeout=timeout,
            check=False,
        )
        return CommandResult(ran.returncode, ran.stdout, ran.stderr)


def test_our_scripts_run_no_program_of_the_repository(repository: Path) -> None:
    machine = Machine(repository)
    probe(machine.run, DaemonSettings(workdir=str(repository)), timeout=30)
    settings = DaemonSettings(opencode=machine.write("opencode", DAEMON), workdir=str(repository))
    daemon = start_daemon(machine.run, settings, password="secret", timeout=10).daemon
    assert daemon
    read_logs(machine.run, last=10, timeout=10)
    read_proxies(machine.run, pid=daemon.pid, timeout=10)
    find_listener(machine.run, pid=daemon.pid, port=1, timeout=10)
    place = Path(f"/proc/{daemon.pid}/cwd").readlink()
    stop_daemon(machine.run, pid=daemon.pid)

    assert place == repository
    assert loaded(repository) == []


def test_a_daemon_without_a_directory_starts_where_the_transport_put_us(repository: Path) -> None:
    machine = Machine(repository)
    settings = DaemonSettings(opencode=machine.write("opencode", DAEMON))
    daemon = start_daemon(machine.run, settings, password="secret", timeout=10).daemon
    assert daemon
    place = Path(f"/proc/{daemon.pid}/cwd").readlink()
    stop_daemon(machine.run, pid=daemon.pid)

    assert place == repository


def test_the_relay_loads_nothing_of_the_repository(repository: Path, opencode_bin: str) -> None:
    machine = Machine(repository)
    argv = javascript_argv(opencode_bin, relay_source())
    announced = machine.run(argv, timeout=20).stdout

    assert b"ocattach-relay" in announced
    assert loaded(repository) == []


def test_the_version_of_opencode_is_not_the_repositorys(
    repository: Path, opencode_bin: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(repository)

    printed, _ = ask_version(opencode_bin).communicate(timeout=60)

    assert printed_version(printed)
    assert loaded(repository) == []


def test_the_tui_starts_in_the_home_directory(repository: Path, opencode_bin: str) -> None:
    code = (
        "import os, sys; from ocattach.cli.tui_program import TuiProgram; "
        "TuiProgram(os.environ).become([sys.argv[1], '--version'], os.environ)"
    )
    home = repository.parent / "our-home"
    (home / ".opencode/bin").mkdir(parents=True)
    (home / ".opencode/bin/opencode").symlink_to(opencode_bin)
    run_here(repository, "-c", code, "opencode", PATH="/usr/bin:/bin")

    assert loaded(repository) == []


def test_the_podman_service_is_watched_by_the_systems_programs(repository: Path) -> None:
    folder = repository.parent / "run"
    folder.mkdir()
    code = (
        "import os, sys; from pathlib import Path; from ocattach.config.variables import without_relative_entries; "
        "os.environ['PATH'] = without_relative_entries(os.environ['PATH']); "
        f"from {PodmanService.__module__} import PodmanService; "
        "PodmanService.start('/bin/false', at=Path(sys.argv[1]), timeout=2)"
    )
    ran = run_here(repository, "-c", code, str(folder))

    assert "did not" in ran
    assert loaded(repository) == []


@pytest.mark.parametrize(
    "words",
    [
        ("doctor",),
        ("doctor", "ssh://127.0.0.1:9"),
        ("doctor", "podman://nowhere"),
        ("explain", "ssh://nowhere.invalid"),
        ("--status", "local"),
        ("--list",),
    ],
    ids=" ".join,
)
def test_our_command_runs_no_program_of_the_repository(repository: Path, words: Sequence[str]) -> None:
    (repository / ".opencode").mkdir()
    (repository / ".opencode/ocattach.json").write_text('{"environments": {"team": "local://"}}')
    (repository / ".opencode/ocattach.json").chmod(0o666)  # so that git is asked whether that is accepted
    run_here(repository, "-m", "ocattach", *words)

    assert loaded(repository) == []


def run_here(repository: Path, *arguments: str, **variables: str) -> str:
    """Run Python in the repository, as the script of the package does; everything that was printed."""
    home = repository.parent / "our-home"
    (home / ".ssh").mkdir(parents=True, exist_ok=True)
    folders = {f"OCATTACH_{kind}_DIR": str(home / kind) for kind in ("CONFIG", "STATE", "RUNTIME")}
    ran = subprocess.run(
        [sys.executable, "-P", *arguments],
        cwd=repository,
        env={
            **folders,
            "HOME": str(home),
            "PATH": RELATIVE,
            "LC_ALL": "C.UTF-8",
            "PYTHONPATH": os.environ.get("PYTHONPATH", ""),
            **variables,
        },
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    return ran.stdout + ran.stderr
