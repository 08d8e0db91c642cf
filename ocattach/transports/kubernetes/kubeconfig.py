"""Kubeconfig files: read within bounds, and merged as by kubectl."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import yaml
from kubernetes.config.kube_config import ConfigNode, KubeConfigMerger

from ocattach.config.files.safe import read_regular
from ocattach.errors import ConfigurationError
from ocattach.transports.kubernetes.network import VIEW

ENTRIES = {"clusters": "cluster", "contexts": "context", "users": "user"}
"""The lists of a kubeconfig, and the key of an entry's content."""

LARGEST_FILE = 16 * 1024**2


class Merger(KubeConfigMerger):  # type: ignore[misc]
    """The official merger of several files, but with what kubectl passes over: empty files, entries and values."""

    config_merged: Any

    def load_config(self, path: str) -> None:
        config = read_kubeconfig(path)
        self.config_files[path] = config
        if self.config_merged is None:
            self.config_merged = ConfigNode(path, {kind: [] for kind in ENTRIES}, path)
        merged = self.config_merged.value
        for kind in ENTRIES:
            known = {each["name"] for each in merged[kind]}
            merged[kind] += [
                ConfigNode(f"{kind} {entry['name']} of {path}", entry, path)
                for entry in config[kind]
                if entry["name"] not in known
            ]
        if config.get("current-context"):
            merged.setdefault("current-context", config["current-context"])


def read_bounded(path: Path) -> bytes:
    """Return the content of a file that is named by a kubeconfig, or is one. Never blocks, as on a named pipe.

    Raises OSError, and ConfigurationError for a file of another kind and one that is too large.
    """
    content, _ = read_regular(path, LARGEST_FILE)
    if len(content) > LARGEST_FILE:
        raise ConfigurationError(f"{path} is larger than {LARGEST_FILE // 1024**2} MiB", hint=VIEW)
    return content


def read_kubeconfig(path: str) -> dict[str, Any]:
    """Parse a kubeconfig; entries without a name, and values that are empty, are left out."""
    try:
        config = yaml.safe_load(read_bounded(Path(path)))
    except (yaml.YAMLError, ValueError, RecursionError) as error:
        mark = getattr(error, "problem_mark", None)
        where = f" in line {mark.line + 1}" if mark else ""
        raise ConfigurationError(f"{path} is not valid YAML{where}", hint=VIEW) from None
    if not isinstance(config or {}, dict):
        raise ConfigurationError(f"{path} is not a kubeconfig", hint=VIEW)
    config = dict(config or {})
    for kind, key in ENTRIES.items():
        entries = config.get(kind) or []
        if not isinstance(entries, list):
            raise ConfigurationError(f"{path}: {kind} is not a list", hint=VIEW)
        named = [entry for entry in entries if isinstance(entry, dict) and entry.get("name") is not None]
        config[kind] = [{**entry, key: content(path, entry, key)} for entry in named]
    return config


def content(path: str, entry: Mapping[str, Any], key: str) -> dict[str, Any]:
    """Return the content of an entry without empty values."""
    found = entry.get(key) or {}
    if not isinstance(found, dict):
        raise ConfigurationError(f"{path}: {key} of {entry['name']} is not a mapping", hint=VIEW)
    return {key: value for key, value in found.items() if value is not None and value != ""}
