"""A network namespace of this machine, by the name that ip-netns(8) gives it."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar, Self

from ocattach.config.files.entry import Entry, Schema, text
from ocattach.config.targets.base import Target
from ocattach.config.targets.rules import check_word
from ocattach.config.targets.uri_text import SAFE_IN_PATH, URIParts, decode, encode


@dataclass(frozen=True, slots=True)
class NetnsTarget(Target):
    """A namespace in /run/netns."""

    scheme: ClassVar[str] = "netns"
    label: ClassVar[str] = "A network namespace of this machine"
    keys: ClassVar[Mapping[str, Schema]] = {"namespace": {"description": "Its name.", "type": "string"}}
    key_rules: ClassVar[Schema] = {"required": ["namespace"]}

    namespace: str

    def __post_init__(self) -> None:
        check_word(self.namespace, "namespace")

    @classmethod
    def from_entry(cls, entry: Entry) -> Self:
        return cls(text(entry, "namespace") or "")

    def to_entry(self) -> dict[str, object]:
        return {"namespace": self.namespace}

    @classmethod
    def from_uri(cls, parts: URIParts) -> tuple[Self, str | None]:
        parts.refuse_unknown_query()
        namespace, _, workdir = parts.body.partition(":")
        return cls(decode(namespace)), decode(workdir) or None

    def uri(self, workdir: str | None = None) -> str:
        return f"netns://{self.namespace}" + (f":{encode(workdir, SAFE_IN_PATH)}" if workdir else "")
