"""The local machine as an environment."""
# ruff: noqa: D102 - an override has the docstring of what it overrides

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar, Self

from ocattach.config.targets.base import Target
from ocattach.config.targets.uri_text import SAFE_IN_PATH, URIParts, decode, encode
from ocattach.errors import UsageError


@dataclass(frozen=True, slots=True)
class LocalTarget(Target):
    """The local machine, as the current user."""

    scheme: ClassVar[str] = "local"
    label: ClassVar[str] = "The user's own machine"
    is_this_machine: ClassVar[bool] = True
    identity_variables: ClassVar[tuple[str, ...]] = ("HOME", "XDG_DATA_HOME")
    user_only_keys: ClassVar[frozenset[str]] = frozenset({"opencode", "env", "unset_env"})
    """These would determine which program runs on the user's machine, and how."""

    @classmethod
    def from_uri(cls, parts: URIParts) -> tuple[Self, str | None]:
        parts.refuse_unknown_query()
        if parts.body and not parts.body.startswith(("/", "~")):
            raise UsageError(
                f"local:// cannot have a host: {parts.body!r}",
                hint="A directory needs three slashes: local:///DIR",
            )
        return cls(), decode(parts.body) if parts.body else None

    @property
    def access(self) -> Mapping[str, str]:
        return {"account": "yours, on this machine"}

    def uri(self, workdir: str | None = None) -> str:
        return f"local://{encode(workdir or '', SAFE_IN_PATH)}"

    def default_workdir(self, cwd: Path) -> str | None:
        return str(cwd)
