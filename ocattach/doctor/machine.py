"""The steps that check this machine. Nothing is dialled: no engine, host or cluster is contacted."""

import os
import platform
import stat
from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path
from typing import cast

from ocattach import __version__
from ocattach.config.files.paths import config_directory, runtime_directory, state_directory
from ocattach.config.project import project_definitions
from ocattach.config.resolver import list_connections
from ocattach.config.settings import load_settings
from ocattach.config.spec import ConnectionSpec
from ocattach.config.targets.container import DockerTarget
from ocattach.config.targets.docker_config import read_context
from ocattach.config.targets.kubernetes import kubeconfig_files
from ocattach.config.targets.registry import SCHEMES, resolve
from ocattach.config.trust import may_be_used
from ocattach.doctor.ladder import Ladder, StepWarning
from ocattach.errors import ConfigurationError
from ocattach.link.client.queries import query_link
from ocattach.link.files import link_keys
from ocattach.presence import exists, is_file
from ocattach.printable import command_line
from ocattach.programs import which

WRITABLE_BY_OTHERS = stat.S_IWGRP | stat.S_IWOTH


class MachineCheck:
    """The check of this machine. Each step is a method, or a function below, that returns what it found."""

    def __init__(
        self, ladder: Ladder, *, cwd: Path, environ: Mapping[str, str], tui: Callable[[], tuple[str, str]]
    ) -> None:
        """`tui` returns path and version of the `opencode` program on this machine."""
        self._ladder = ladder
        self._cwd, self._environ = cwd, environ
        self._tui = tui

    def run(self) -> None:
        """Run all steps; none depends on another."""
        step = self._ladder.step
        self._ladder.note(
            "ocattach", f"{__version__}, Python {platform.python_version()}, {platform.system()}"
        )
        step("tui", self.tui)
        step("settings", self.settings)
        step("connections", self.connections)
        step("project", self.project)
        step("state", self.state)
        step("links", self.links)
        for location in (scheme.check for scheme in SCHEMES.values() if scheme.check):
            check = cast("Callable[[Mapping[str, str]], str]", resolve(location))
            step(location.partition(":")[2], partial(check, self._environ))

    def tui(self) -> str:
        """Find the program that shows the TUI."""
        path, version = self._tui()
        return f"{version} at {path}"

    def settings(self) -> str:
        """Read the settings, and check that other users cannot change them."""
        directory = config_directory(self._environ)
        load_settings(directory)
        refuse_writable(directory)
        return str(directory)

    def connections(self) -> str:
        """Read the saved connections."""
        listed = list_connections(cwd=self._cwd, environ=self._environ).connections
        self._raise_first_problem(own=True)
        return f"{sum(each.spec.source.kind == 'user' for each in listed)} saved"

    def project(self) -> str:
        """Read the connections that projects define, and check which are trusted."""
        self._raise_first_problem(own=False)
        found = [each for each in project_definitions(self._cwd) if isinstance(each, ConnectionSpec)]
        if not found:
            return "no connections defined in this directory or its parents"
        new = sorted({spec.name or "" for spec in found if not may_be_used(spec, self._environ)})
        files = ", ".join(sorted({str(spec.source.path) for spec in found}))
        if new:
            approve = command_line("ocattach", "trust", new[0])
            raise StepWarning(f"not approved: {', '.join(new)} ({files}); review and approve: {approve}")
        return f"{len(found)} defined in {files}"

    def state(self) -> str:
        """Check the directory of the trust ledger, the index and the logs."""
        directory = state_directory(self._environ)
        refuse_writable(directory)
        if exists(directory) and not os.access(directory, os.W_OK):
            raise ConfigurationError(
                f"{directory} is not writable by this user",
                hint=f"Check its permissions: {command_line('ls', '-ld', directory)}",
            )
        return str(directory)

    def links(self) -> str:
        """Count the links of this user, and the sockets of links that have crashed."""
        directory = runtime_directory(self._environ)
        keys = list(link_keys(self._environ))
        running = sum("status" in query_link(key, self._environ) for key in keys)
        if running < len(keys):
            raise StepWarning(
                f"{running} running, {len(keys) - running} not answering (crashed, or of another version), "
                f"in {directory}; end all: ocattach --disconnect --all"
            )
        return f"{running} running, in {directory}"

    def _raise_first_problem(self, *, own: bool) -> None:
        """Raise ConfigurationError for the first definition that is invalid, either of the user or of projects."""
        directory = config_directory(self._environ)
        problems = [
            problem
            for problem in list_connections(cwd=self._cwd, environ=self._environ).problems
            if problem.path.is_relative_to(directory) == own
        ]
        if problems:
            error = problems[0].error
            more = f" (and {len(problems) - 1} more: ocattach --list)" if len(problems) > 1 else ""
            raise ConfigurationError(
                f"{error.message}{more}",
                hint=error.hint or "Fix the definition, then check it: ocattach --list",
            )


def docker(environ: Mapping[str, str]) -> str:
    """Find the engine that docker:// uses by default."""
    target = DockerTarget(container="any").pinned(environ)
    context = read_context(target.context, environ) if target.context else None
    host = context.host if context else target.host or ""
    path = Path(host.removeprefix("unix://"))
    if host.startswith("unix://") and not exists(path):
        raise StepWarning(f"no engine at {host}; if Docker is installed, start it: systemctl start docker")
    if host.startswith("unix://") and not os.access(path, os.W_OK):
        raise StepWarning(f"no permission to use {host}; check: {command_line('ls', '-l', path)}")
    return f"{host} (context {target.context})" if target.context else host


def podman(_: Mapping[str, str]) -> str:
    """Find the podman program, which can start its own service."""
    return find_program("podman", "podman:// needs it unless CONTAINER_HOST or a podman connection is set")


def ssh(_: Mapping[str, str]) -> str:
    """Find the OpenSSH client."""
    return find_program("ssh", "without it, ocattach connects by paramiko, which cannot do all that ssh does")


def kubernetes(environ: Mapping[str, str]) -> str:
    """Find the kubeconfig files."""
    files = [str(file) for file in kubeconfig_files(environ)]
    found = [file for file in files if is_file(Path(file))]
    if not found:
        raise StepWarning(f"no kubeconfig at {', '.join(files)}; k8s:// needs one")
    return ", ".join(found)


def refuse_writable(directory: Path) -> None:
    """Raise ConfigurationError if another user can write to a directory."""
    if not exists(directory):
        return
    found = directory.stat()
    if found.st_uid not in (os.getuid(), 0):
        raise ConfigurationError(
            f"{directory} belongs to another user",
            hint=f"Check its owner: {command_line('ls', '-ld', directory)}",
        )
    if found.st_mode & WRITABLE_BY_OTHERS:
        raise ConfigurationError(
            f"{directory} is writable by other users",
            hint=f"Restrict it: {command_line('chmod', 'go-w', directory)}",
        )


def find_program(name: str, consequence: str) -> str:
    """Return the path of a program; raise StepWarning if it is not on PATH."""
    path = which(name)
    if path is None:
        raise StepWarning(f"{name} is not on PATH; {consequence}")
    return path
