"""Dev containers: the labels that the dev container tools put on a container, and how these say to work in it.

Labels and merging: https://containers.dev/implementors/spec/#merge-logic; substitution as in @devcontainers/cli 0.89.
"""

import os
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import PurePosixPath
from typing import Any

from ocattach.config.common_keys import check_environment
from ocattach.config.targets.rules import check_workdir
from ocattach.daemon import DaemonSettings
from ocattach.errors import UsageError
from ocattach.untrusted_json import objects, parse_json, table

FOLDER_LABEL = "devcontainer.local_folder"
METADATA_LABEL = "devcontainer.metadata"
PLACEHOLDER = re.compile(r"\$\{([A-Za-z]+)(?::([^:}]*))?(?::([^:}]*))?[^}]*\}")
"""`${localEnv:NAME:DEFAULT}`: kind, name and default."""

WINDOWS_FOLDER = re.compile(
    r"//wsl(?:\.localhost|\$)/(?P<distribution>[^/]+)(?P<below>/.*)?|(?P<drive>[a-z]):(?P<path>/.*)",
    re.IGNORECASE,
)


@dataclass(frozen=True, slots=True)
class DevContainer:
    """How to work in a dev container, by its metadata."""

    user: str | None = None
    workdir: str | None = None
    env: tuple[tuple[str, str], ...] = field(default=(), repr=False)
    unset_env: tuple[str, ...] = ()
    withheld: tuple[str, ...] = ()
    """Variables of this machine that the metadata uses, and that the connection does not allow it."""

    def settings(self, given: DaemonSettings) -> DaemonSettings:
        """Return the settings of a connection, completed by those of the dev container."""
        return replace(
            given,
            workdir=given.workdir or self.workdir,
            env=(*self.env, *given.env),
            unset_env=(*self.unset_env, *given.unset_env),
        )


def read_dev_container(
    container: Mapping[str, Any], *, local: Mapping[str, str], allowed: Iterable[str]
) -> DevContainer:
    """Return what the labels of a container say, as the engine describes it (`docker inspect`).

    `local` are the variables of this machine; only those whose names are in `allowed` are substituted.
    """
    configuration = container["Config"]
    labels = configuration.get("Labels") or {}
    folder, entries = local_folder(labels, local), metadata(labels.get(METADATA_LABEL) or "")
    remote = {name: value for each in entries for name, value in table(each.get("remoteEnv")).items()}
    there: dict[str, str] = dict(text.partition("=")[::2] for text in configuration.get("Env") or ())
    here = {name: local[name] for name in allowed if name in local}
    workdir = last(entries, "workspaceFolder") or mounted_at(container.get("Mounts") or (), folder)
    places: dict[str, str] = {"localWorkspaceFolder": folder, "containerWorkspaceFolder": workdir or ""}
    used: set[str] = set()

    def value_of(found: re.Match[str]) -> str:
        kind, name, default = found.group(1), found.group(2) or "", found.group(3) or ""
        if kind in ("localEnv", "env"):
            used.add(name)
            return here.get(name, default)
        if kind == "containerEnv":
            return there.get(name, default)
        path = places.get(kind.removesuffix("Basename"))
        if path is None:
            return found.group()
        return PurePosixPath(path).name if kind.endswith("Basename") else path

    values = {name: PLACEHOLDER.sub(value_of, text) for name, text in remote.items() if isinstance(text, str)}
    places["containerWorkspaceFolder"] = workdir = PLACEHOLDER.sub(value_of, workdir or "")
    return DevContainer(
        user=last(entries, "remoteUser"),
        workdir=workdir if is_workdir(workdir) else None,
        env=tuple((name, value) for name, value in values.items() if is_variable(name, value)),
        unset_env=tuple(name for name, value in remote.items() if value is None and is_variable(name, "")),
        withheld=tuple(sorted(used - set(allowed))),
    )


def metadata(label: str) -> list[dict[str, Any]]:
    """Return the entries of a label, which may also be a single one; none if it is not valid."""
    try:
        content = parse_json(label.encode())
    except ValueError:
        return []
    return objects(content if isinstance(content, list) else [content])


def last(entries: Iterable[Mapping[str, Any]], key: str) -> str | None:
    """Return the value of the last entry that has a text at a key; None without one."""
    values = [each[key] for each in entries if isinstance(each.get(key), str) and each[key]]
    return values[-1] if values else None


def mounted_at(mounts: Iterable[Mapping[str, Any]], folder: str) -> str | None:
    """Return where a container has a folder of this machine; None if it, or a folder above it, is not mounted.

    Docker Desktop shows other sources, those of its virtual machine; the tools mount FOLDER at /workspaces/FOLDER.
    """
    bound = [mount for mount in mounts if mount.get("Type") == "bind"]
    for mount in sorted(bound, key=lambda mount: -len(mount.get("Source") or "")):
        if PurePosixPath(folder).is_relative_to(mount["Source"]):
            return str(
                PurePosixPath(mount["Destination"]) / PurePosixPath(folder).relative_to(mount["Source"])
            )
    usual = f"/workspaces/{PurePosixPath(folder).name}"
    return usual if usual in [mount["Destination"] for mount in bound] else None


def is_workdir(text: str) -> bool:
    """Return whether a text can be a working directory."""
    try:
        check_workdir(text)
    except UsageError:
        return False
    return True


def is_variable(name: str, value: str) -> bool:
    """Return whether a daemon can get a variable: ours are not the metadata's to set."""
    try:
        check_environment(name, value)
    except UsageError:
        return False
    return True


def is_made_for(entry: Mapping[str, Any], folder: str) -> bool:
    """Return whether an entry of the list of containers is a dev container of a folder of this machine."""
    label = local_folder(entry.get("Labels") or {}, os.environ)
    return label == folder or (label.startswith("/") and os.path.realpath(label) == os.path.realpath(folder))


def local_folder(labels: Mapping[str, str], local: Mapping[str, str]) -> str:
    r"""Return the folder of a dev container as this machine names it, whose variables are `local`; "" if there is none.

    Within WSL, the folders that VS Code on Windows calls \\wsl.localhost\DISTRIBUTION\FOLDER and c:\FOLDER have names
    of Linux. Folders of other distributions have none.
    """
    label = labels.get(FOLDER_LABEL) or ""
    distribution = local.get("WSL_DISTRO_NAME", "")
    found = WINDOWS_FOLDER.fullmatch(label.replace("\\", "/")) if distribution else None
    if found and found["drive"]:
        return f"/mnt/{found['drive'].lower()}{found['path']}"
    if found and found["distribution"].lower() == distribution.lower():
        return found["below"] or "/"
    return label
