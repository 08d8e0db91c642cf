"""The ladder of this machine: what connections of every kind need here."""

import os
import platform
import shutil
import stat
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from ocattach import __version__
from ocattach.config.files.paths import config_directory, runtime_directory, state_directory
from ocattach.config.project import project_definitions
from ocattach.config.resolver import Listing, list_connections
from ocattach.config.settings import load_settings
from ocattach.config.spec import ConnectionSpec
from ocattach.config.targets.container import DockerTarget
from ocattach.config.targets.docker_config import read_context
from ocattach.config.targets.kubernetes import kubeconfig_files
from ocattach.config.trust import TrustLedger, may_be_used
from ocattach.doctor.ladder import Ladder, Remark
from ocattach.errors import ConfigurationError
from ocattach.link.client.queries import link_status
from ocattach.link.files import link_keys

if TYPE_CHECKING:
    from ocattach.config.files.safe import Problem

WRITABLE = stat.S_IWGRP | stat.S_IWOTH


class Machine:
    """Our own machine, seen from a directory; each method is a rung. No engine is asked, nothing is dialled."""

    def __init__(
        self, ladder: Ladder, *, cwd: Path, environ: Mapping[str, str], tui: Callable[[], tuple[str, str]]
    ) -> None:
        """`tui` tells path and version of the program here that shows the TUI."""
        self._ladder = ladder
        self._cwd, self._environ = cwd, environ
        self._tui = tui

    def climb(self) -> None:
        """Try every rung; none rests on another."""
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
        for name in ("docker", "podman", "ssh", "kubernetes"):
            step(name, getattr(self, name))

    def tui(self) -> str:
        """The program that shows the TUI."""
        path, version = self._tui()
        return f"{version} at {path}"

    def settings(self) -> str:
        """The user's settings, and who else could change them."""
        directory = config_directory(self._environ)
        load_settings(directory)
        refuse_writable(directory)
        return str(directory)

    def connections(self) -> str:
        """The user's own connections."""
        own = [each.spec for each in self._listing().connections if each.spec.source.kind == "user"]
        self._raise_first_problem(own=True)
        return f"{len(own)} saved"

    def project(self) -> str:
        """What the project here defines."""
        self._raise_first_problem(own=False)
        found = [each for each in project_definitions(self._cwd) if isinstance(each, ConnectionSpec)]
        if not found:
            return "none is defined from here upwards"
        ledger = TrustLedger(state_directory(self._environ))
        new = sorted({spec.name or "" for spec in found if not may_be_used(spec, ledger, self._environ)})
        files = ", ".join(sorted({str(spec.source.path) for spec in found}))
        if new:
            raise Remark(f"not approved yet: {', '.join(new)} ({files}); approve: ocattach trust {new[0]}")
        return f"{len(found)} in {files}"

    def state(self) -> str:
        """Where approvals and logs are kept."""
        directory = state_directory(self._environ)
        refuse_writable(directory)
        if directory.exists() and not os.access(directory, os.W_OK):
            raise ConfigurationError(
                f"{directory} cannot be written by this account", hint=f"Look at it: ls -ld {directory}"
            )
        return str(directory)

    def links(self) -> str:
        """The links of this account, and what killed ones have left."""
        directory = runtime_directory(self._environ)
        keys = list(link_keys(self._environ))
        alive = [key for key in keys if link_status(key, self._environ) is not None]
        if len(alive) < len(keys):
            raise Remark(
                f"{len(alive)} alive, {len(keys) - len(alive)} ended without a word or of another version, in "
                f"{directory}; all are ended by: ocattach --disconnect --all"
            )
        return f"{len(alive)} alive, in {directory}"

    def docker(self) -> str:
        """The engine that a docker:// without one would be for."""
        target = DockerTarget(container="any").pinned(self._environ)
        context = read_context(target.context, self._environ) if target.context else None
        host = context.host if context else target.host or ""
        path = Path(host.removeprefix("unix://"))
        if host.startswith("unix://") and not path.exists():
            raise Remark(f"no engine at {host}; where it should be there: systemctl start docker")
        if host.startswith("unix://") and not os.access(path, os.W_OK):
            raise Remark(f"{host} is closed to this account; see: ls -l {path}")
        return f"{host} (context {target.context})" if target.context else host

    def podman(self) -> str:
        """The program, which can be its own service."""
        return found_program(
            "podman", "needed for podman:// without CONTAINER_HOST or a connection of podman's"
        )

    def ssh(self) -> str:
        """OpenSSH, which reads the user's configuration best."""
        return found_program("ssh", "without it ~/.ssh/config is read by ocattach, and Match exec refused")

    def kubernetes(self) -> str:
        """The kubeconfig."""
        files = [str(file) for file in kubeconfig_files(self._environ)]
        there = [file for file in files if Path(file).is_file()]
        if not there:
            raise Remark(f"no kubeconfig at {', '.join(files)}; k8s:// needs one")
        return ", ".join(there)

    def _listing(self) -> Listing:
        return list_connections(cwd=self._cwd, environ=self._environ)

    def _raise_first_problem(self, *, own: bool) -> None:
        """Fail with the first definition that cannot be used, be it the user's or the project's."""
        directory = config_directory(self._environ)
        problems: list[Problem] = [
            problem for problem in self._listing().problems if problem.path.is_relative_to(directory) == own
        ]
        if problems:
            error = problems[0].error
            more = f" (and {len(problems) - 1} more: ocattach --list)" if len(problems) > 1 else ""
            raise ConfigurationError(
                f"{error.message}{more}", hint=error.hint or "Correct it, and look again: ocattach --list"
            )


def refuse_writable(directory: Path) -> None:
    """Raise ConfigurationError for a directory of ours that somebody else could write to."""
    if not directory.exists():
        return
    found = directory.stat()
    if found.st_uid not in (os.getuid(), 0):
        raise ConfigurationError(
            f"{directory} belongs to another user", hint=f"Look at it: ls -ld {directory}"
        )
    if found.st_mode & WRITABLE:
        raise ConfigurationError(
            f"{directory} can be written by other users", hint=f"Close it: chmod go-w {directory}"
        )


def found_program(name: str, otherwise: str) -> str:
    """Where a program is; a remark where it is not."""
    path = shutil.which(name)
    if path is None:
        raise Remark(f"no {name} on PATH: {otherwise}")
    return path
