"""A container of a pod, named by the pod or by its deployment, stateful set or labels."""
# ruff: noqa: D102 - an override has the docstring of what it overrides

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import ClassVar, Self

from ocattach.config.files.entry import Entry, Schema, text
from ocattach.config.files.safe import read_text
from ocattach.config.files.yaml_text import read_mapping
from ocattach.config.suggestion import did_you_mean
from ocattach.config.targets import key_types
from ocattach.config.targets.base import Target
from ocattach.config.targets.rules import check_given, check_text, check_word
from ocattach.config.targets.uri_text import URIParts, decode, encode, format_place, format_query, split_place
from ocattach.errors import OcattachError, UsageError

KINDS: Mapping[str, Schema] = {
    "pod": key_types.word("Name of a pod."),
    "deployment": key_types.word("Name of a deployment; one of its pods is used."),
    "statefulset": key_types.word("Name of a stateful set; one of its pods is used."),
    "selector": key_types.text("Labels of pods, as in kubectl --selector.", "app.kubernetes.io/name=web"),
}
"""The keys of which an entry has exactly one."""

QUERY_KEYS: Mapping[str, Schema] = {
    "namespace": key_types.word("Namespace of the pod."),
    "context": key_types.word("Context of the user's kubeconfig.", also=":@/+="),
    "container": key_types.word("Container of the pod, if it has several."),
}
"""The keys after `?` in a URI."""

SAFE_IN_SELECTOR = "=,/!()"
DEFAULT_NAMESPACE = "default"

SERVICE_HOST = "KUBERNETES_SERVICE_HOST"
"""A variable that is set in every pod."""

OWN_NAMESPACE = Path("/var/run/secrets/kubernetes.io/serviceaccount/namespace")
"""The file with the namespace of the pod that ocattach runs in."""


@dataclass(frozen=True, slots=True)
class KubernetesTarget(Target):
    """A pod: exactly one of `pod`, `deployment`, `statefulset` and `selector` is set."""

    pod: str | None = None
    deployment: str | None = None
    statefulset: str | None = None

    selector: str | None = None
    namespace: str | None = None
    context: str | None = None
    container: str | None = None
    scheme: ClassVar[str] = "k8s"
    identity_variables: ClassVar[tuple[str, ...]] = ("KUBECONFIG",)
    """Contexts of two files may have the same name: k3s names each "default"."""

    label: ClassVar[str] = "A pod of a Kubernetes cluster"
    keys: ClassVar[Mapping[str, Schema]] = {**KINDS, **QUERY_KEYS}
    key_rules: ClassVar[Schema] = key_types.exactly_one(*KINDS)
    options: ClassVar[Mapping[str, str]] = {key: key for key in QUERY_KEYS}

    def __post_init__(self) -> None:
        given = [kind for kind in KINDS if getattr(self, kind) is not None]
        if len(given) != 1:
            raise UsageError(
                f"{' and '.join(given)} cannot be used together"
                if given
                else f"k8s requires one of {', '.join(KINDS)}"
            )
        check_given(
            self, dict.fromkeys(("pod", "deployment", "statefulset", "namespace", "container"), check_word)
        )
        check_given(self, {"selector": check_text, "context": partial(check_word, also=":@/+=")})

    @classmethod
    def from_uri(cls, parts: URIParts) -> tuple[Self, str | None]:
        parts.refuse_unknown_query(*QUERY_KEYS)
        user, encoded, workdir = split_place(parts.body)
        if user is not None:
            raise UsageError("k8s:// cannot have a user", hint="Commands run as the user of the container")
        first, slash, rest = encoded.partition("/")
        kind, name = (first, decode(rest)) if slash else ("pod", decode(first))
        if kind not in KINDS:
            near = did_you_mean(kind, KINDS)
            raise UsageError(
                f"{kind!r} is not a supported kind of workload",
                hint=f"{near} A directory follows a colon: k8s://{first}:/{rest}",
            )
        return cls(**{kind: name, **parts.query}), workdir

    @property
    def access(self) -> Mapping[str, str]:
        return {"cluster": f"context {self.context}" if self.context else "the one of the kubeconfig"}

    def uri(self, workdir: str | None = None) -> str:
        query = format_query({key: getattr(self, key) for key in QUERY_KEYS})
        return f"k8s://{format_place(None, self._name(), workdir)}{query}"

    @property
    def kind(self) -> str:
        """Which of `pod`, `deployment`, `statefulset` and `selector` is set."""
        return next(kind for kind in KINDS if getattr(self, kind) is not None)

    @property
    def name(self) -> str:
        """Kind and name for messages: "deployment api"."""
        return f"{self.kind} {getattr(self, self.kind)}"

    def pinned(self, environ: Mapping[str, str]) -> Self:
        """The target with the current context and its namespace."""
        if self.context is not None and self.namespace is not None:
            return self
        try:
            return self._pinned(environ)
        except OcattachError:  # an unreadable kubeconfig, or an unsupported name in it
            return self

    def _pinned(self, environ: Mapping[str, str]) -> Self:
        texts = [(path, read_text(path)) for path in kubeconfig_files(environ)]
        configs = [config for path, found in texts if found and (config := read_mapping(found, path))]
        if not configs:
            own = read_text(OWN_NAMESPACE) if SERVICE_HOST in environ and self.namespace is None else None
            return replace(self, namespace=own.strip()) if own else self
        current = (text(config, "current-context") for config in configs)
        context = self.context or next((name for name in current if name), None)
        namespace = self.namespace or namespace_of(context, configs)
        return replace(self, context=context, namespace=namespace)

    def _name(self) -> str:
        if self.pod is not None:
            return self.pod
        return f"{self.kind}/{encode(getattr(self, self.kind), SAFE_IN_SELECTOR)}"


def kubeconfig_files(environ: Mapping[str, str]) -> list[Path]:
    """The kubeconfig files by precedence; they need not exist."""
    listed = [Path(path) for path in environ.get("KUBECONFIG", "").split(":") if path]
    return listed or [Path(environ.get("HOME") or Path.home()) / ".kube" / "config"]


def namespace_of(context: str | None, configs: list[Entry]) -> str | None:
    """The namespace of a context, by default "default"; None for an unknown context."""
    for each in (each for config in configs for each in dictionaries(config.get("contexts"))):
        if each.get("name") == context:
            settings = each.get("context")
            return (text(settings, "namespace") if isinstance(settings, Mapping) else None) or (
                DEFAULT_NAMESPACE
            )
    return None


def dictionaries(value: object) -> Iterator[Entry]:
    """The objects in a list; none if the value is not a list."""
    for each in value if isinstance(value, list) else ():
        if isinstance(each, Mapping):
            yield each
