"""A container of a pod, named by the pod or by what makes the pod, since pods are replaced."""
# ruff: noqa: D102 - an override has the docstring of what it overrides

from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar, Self

from ocattach.config.entry import Entry, present, text
from ocattach.config.rules import check_text, check_word
from ocattach.config.suggestion import did_you_mean
from ocattach.config.targets.base import Target
from ocattach.config.uri_text import URIParts, decode, encode, format_place, format_query, split_place
from ocattach.errors import UsageError

KINDS = ("pod", "deployment", "statefulset", "selector")
QUERY_KEYS = ("namespace", "context", "container")
SAFE_IN_SELECTOR = "=,/!()"


@dataclass(frozen=True, slots=True)
class KubernetesTarget(Target):
    """A pod: exactly one of `pod`, `deployment`, `statefulset` and `selector` is set."""

    pod: str | None = None
    deployment: str | None = None
    statefulset: str | None = None

    selector: str | None = None
    """Labels, as `kubectl --selector` takes them."""

    namespace: str | None = None
    context: str | None = None
    """Name of a context in the user's kubeconfig; None for the current one."""

    container: str | None = None
    """Which of the pod's containers; None for its default."""

    scheme: ClassVar[str] = "k8s"
    keys: ClassVar[tuple[str, ...]] = (*KINDS, *QUERY_KEYS)
    options: ClassVar[Mapping[str, str]] = {key: key for key in QUERY_KEYS}

    def __post_init__(self) -> None:
        given = [kind for kind in KINDS if getattr(self, kind) is not None]
        if len(given) != 1:
            raise UsageError(
                f"{' and '.join(given)} exclude each other"
                if given
                else f"k8s needs one of {', '.join(KINDS)}"
            )
        for key in ("pod", "deployment", "statefulset", "namespace", "container"):
            value = getattr(self, key)
            if value is not None:
                check_word(value, key)
        if self.selector is not None:
            check_text(self.selector, "selector")
        if self.context is not None:
            check_word(self.context, "context", also=":@/+=")

    @classmethod
    def from_entry(cls, entry: Entry) -> Self:
        return cls(**{key: text(entry, key) for key in cls.keys})

    def to_entry(self) -> dict[str, object]:
        return present({key: getattr(self, key) for key in self.keys})

    @classmethod
    def from_uri(cls, parts: URIParts) -> tuple[Self, str | None]:
        parts.refuse_unknown_query(*QUERY_KEYS)
        user, encoded, workdir = split_place(parts.body)
        if user is not None:
            raise UsageError("k8s:// has no user", hint="Commands run as the account the pod is made with")
        first, slash, rest = encoded.partition("/")
        kind, name = (first, decode(rest)) if slash else ("pod", decode(first))
        if kind not in KINDS:
            near = did_you_mean(kind, KINDS)
            raise UsageError(
                f"{kind!r} is no kind of thing that has pods",
                hint=f"{near} A directory comes after a colon: k8s://{first}:/{rest}",
            )
        return cls(**{kind: name, **parts.query}), workdir

    def uri(self, workdir: str | None = None) -> str:
        query = format_query({key: getattr(self, key) for key in QUERY_KEYS})
        return f"k8s://{format_place(None, self._name(), workdir)}{query}"

    def _name(self) -> str:
        if self.pod is not None:
            return self.pod
        kind = next(kind for kind in KINDS if getattr(self, kind) is not None)
        return f"{kind}/{encode(getattr(self, kind), SAFE_IN_SELECTOR)}"
