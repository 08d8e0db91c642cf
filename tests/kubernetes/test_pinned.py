"""Context and namespace are those of the day on which a connection is saved."""

import json
from pathlib import Path
from typing import Any

import pytest

from ocattach.config.targets.kubernetes import KubernetesTarget

POD = KubernetesTarget(pod="api")


def kubeconfig(path: Path, *contexts: tuple[str, str | None], current: str | None = None) -> Path:
    """A kubeconfig with contexts and their namespaces."""
    entries = []
    for name, namespace in contexts:
        context: dict[str, Any] = {"cluster": "c", "user": "u"}
        entries.append({"name": name, "context": context | ({"namespace": namespace} if namespace else {})})
    path.write_text(json.dumps({"kind": "Config", "contexts": entries, "current-context": current or ""}))
    return path


def pinned(target: KubernetesTarget, *files: Path, **more: str) -> tuple[str | None, str | None]:
    """The context and the namespace that a target has once it is pinned."""
    found = target.pinned({"KUBECONFIG": ":".join(str(file) for file in files), "HOME": "/nowhere", **more})
    return found.context, found.namespace


def test_the_current_context_and_its_namespace_are_written_out(tmp_path: Path) -> None:
    config = kubeconfig(tmp_path / "config", ("a", None), ("b", "team"), current="b")

    assert pinned(POD, config) == ("b", "team")


def test_a_context_without_a_namespace_has_the_default_one(tmp_path: Path) -> None:
    config = kubeconfig(tmp_path / "config", ("a", None), current="a")

    assert pinned(POD, config) == ("a", "default")


def test_what_was_named_stays(tmp_path: Path) -> None:
    config = kubeconfig(tmp_path / "config", ("a", "team-a"), ("b", "team-b"), current="b")

    assert pinned(KubernetesTarget(pod="api", context="a"), config) == ("a", "team-a")
    assert pinned(KubernetesTarget(pod="api", namespace="mine"), config) == ("b", "mine")


def test_of_several_files_the_first_that_says_something_counts(tmp_path: Path) -> None:
    first = kubeconfig(tmp_path / "first", ("a", "one"))
    second = kubeconfig(tmp_path / "second", ("a", "two"), ("b", "three"), current="a")
    third = kubeconfig(tmp_path / "third", current="b")

    assert pinned(POD, tmp_path / "absent", first, second, third) == ("a", "one")


def test_the_usual_place_is_the_home_directory(tmp_path: Path) -> None:
    (tmp_path / ".kube").mkdir()
    kubeconfig(tmp_path / ".kube" / "config", ("home", "mine"), current="home")
    found = POD.pinned({"HOME": str(tmp_path)})

    assert (found.context, found.namespace) == ("home", "mine")


@pytest.mark.parametrize("content", ["{{{", "[1, 2]", "contexts: 3", "current-context: [x]", ""])
def test_what_cannot_be_read_is_left_open(tmp_path: Path, content: str) -> None:
    (tmp_path / "config").write_text(content)

    assert pinned(POD, tmp_path / "config")[0] is None


def test_a_context_that_does_not_exist_is_left_for_the_transport_to_name(tmp_path: Path) -> None:
    config = kubeconfig(tmp_path / "config", ("a", None), current="a")

    assert pinned(KubernetesTarget(pod="api", context="gone"), config) == ("gone", None)


def test_nothing_is_read_where_nothing_is_open(tmp_path: Path) -> None:
    target = KubernetesTarget(pod="api", context="a", namespace="n")

    assert target.pinned({"KUBECONFIG": str(tmp_path)}) is target
