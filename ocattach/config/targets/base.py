"""The base class of targets. A new scheme adds a subclass and a row in the table of `registry`."""

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import ClassVar, Self

from ocattach.config.files.entry import Entry, Schema, read_values, written_values
from ocattach.config.targets.uri_text import URIParts
from ocattach.errors import UsageError


class Target(ABC):
    """Identifies an environment. Immutable and comparable; the constructor raises UsageError for invalid values."""

    __slots__ = ()

    scheme: ClassVar[str]
    """The value of `transport` in files, and the scheme of URIs."""

    label: ClassVar[str] = ""
    """The title of its part of the JSON Schema: "A Docker container"."""

    keys: ClassVar[Mapping[str, Schema]] = {}
    """The keys of its entries besides the common ones, each with the JSON Schema of its values."""

    key_rules: ClassVar[Schema] = {}
    """Further JSON Schema of its entries: required keys, and keys that exclude each other."""

    user_only_keys: ClassVar[frozenset[str]] = frozenset()
    """Keys that a project file may not set."""

    identity_variables: ClassVar[tuple[str, ...]] = ()
    """Variables of this machine that are part of the identity of an environment (`ConnectionSpec.identity`)."""

    options: ClassVar[Mapping[str, str]] = {}
    """The options of the command line that it accepts, each with the key that it sets."""

    is_this_machine: ClassVar[bool] = False
    """Whether the environment is this machine, with the files of the user."""

    runs_commands: ClassVar[bool] = True
    """Whether commands can be run there, so that a daemon can be started."""

    @property
    def sent_variables(self) -> tuple[str, ...]:
        """Names of variables of this machine whose values are sent there as credentials."""
        return ()

    @property
    def passed_variables(self) -> tuple[str, ...]:
        """Names of variables of this machine whose values a daemon there may get, besides `forward_env`."""
        return ()

    @property
    def needs_link(self) -> bool:
        """Whether a link process is needed; False if clients can use the URL of the daemon."""
        return True

    @classmethod
    def from_entry(cls, entry: Entry) -> Self:
        """The target of an entry; keys that do not belong to the target are ignored.

        Only a target whose fields are not named after its `keys` overrides this and `to_entry`.
        """
        required = cls.key_rules.get("required")
        for key in required if isinstance(required, list) else ():
            if entry.get(key) is None:
                raise UsageError(f"{cls.scheme} requires {key}")
        make: Callable[..., Self] = cls
        return make(**read_values(entry, cls.keys))

    def to_entry(self) -> dict[str, object]:
        """The inverse of `from_entry`: keys that are set, without `transport`."""
        return written_values(self, self.keys)

    @classmethod
    @abstractmethod
    def from_uri(cls, parts: URIParts) -> tuple[Self, str | None]:
        """The target and the working directory of a URI."""

    @abstractmethod
    def uri(self, workdir: str | None = None) -> str:
        """The inverse of `from_uri`; contains no secrets."""

    def display(self, workdir: str | None = None) -> str:
        """The URI to show; may omit defaults."""
        return self.uri(workdir)

    def title(self, workdir: str | None = None) -> str:
        """The URI to show while connecting; may omit the address of an engine."""
        return self.uri(workdir)

    @property
    def access(self) -> Mapping[str, str]:
        """What decides where a connection leads, besides `title`: the engine or cluster, and the account there."""
        return {}

    def default_workdir(self, cwd: Path) -> str | None:  # noqa: ARG002 - for subclasses
        """The working directory to use if none is given; None for the default of the daemon."""
        return None

    def located(self, directory: Path) -> Self:  # noqa: ARG002 - for subclasses
        """The target with its paths on this machine made absolute, seen from the directory in which they were read."""
        return self

    def identity(self) -> dict[str, object]:
        """The keys that decide which environment is meant."""
        return self.to_entry()

    def pinned(self, environ: Mapping[str, str]) -> Self:  # noqa: ARG002 - for subclasses
        """The target with the current settings of this machine written out, such as the current context.

        A saved name then keeps its meaning when settings change, and two engines never share a link. Runs at every
        warm start, so it reads small files at most. A file that cannot be read is ignored; the transport reports it.
        """
        return self

    def with_options(self, values: Mapping[str, object]) -> Self:
        """The target with options of the command line applied. Raises UsageError for an unsupported option."""
        for option in values:
            if option not in self.options:
                known = ", ".join(f"--{name}" for name in self.options)
                raise UsageError(
                    f"--{option} is not an option for {self.scheme}",
                    hint=f"Options for {self.scheme}: {known or 'none'}",
                )
        changed = {self.options[option]: value for option, value in values.items()}
        return self.from_entry({**self.to_entry(), **changed})
