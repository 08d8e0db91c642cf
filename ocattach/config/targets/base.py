"""What every kind of environment says of itself; a new one is a subclass and a row in the table."""

from abc import ABC, abstractmethod
from collections.abc import Mapping
from pathlib import Path
from typing import ClassVar, Self

from ocattach.config.files.entry import Entry
from ocattach.config.targets.key_types import Schema
from ocattach.config.targets.uri_text import URIParts
from ocattach.errors import UsageError


class Target(ABC):
    """Which environment is meant: immutable, comparable, valid from the moment it exists.

    Making one from anything that cannot be meant raises a UsageError.
    """

    __slots__ = ()

    scheme: ClassVar[str]
    """The `transport` in files, and the scheme of its URIs."""

    label: ClassVar[str] = ""
    """What it is, as the title of its part of the JSON Schema: "A Docker container"."""

    keys: ClassVar[Mapping[str, Schema]] = {}
    """The keys of its entries, besides those that all transports have, each with the JSON Schema of its values."""

    key_rules: ClassVar[Schema] = {}
    """What its entries need besides, as JSON Schema: keys that are required, or exclude each other."""

    user_only_keys: ClassVar[frozenset[str]] = frozenset()
    """Keys that a project's file, which others write, may not set."""

    surroundings: ClassVar[tuple[str, ...]] = ()
    """Names of variables of this machine by which the same target can be another environment, or have other daemons."""

    options: ClassVar[Mapping[str, str]] = {}
    """Which options of the command line it knows, and the key that each sets."""

    is_this_machine: ClassVar[bool] = False
    """Whether the environment is the machine that ocattach runs on, with the user's own files."""

    runs_commands: ClassVar[bool] = True
    """Whether commands can be run there, so that a daemon is started."""

    @property
    def sent_variables(self) -> tuple[str, ...]:
        """Names of variables of this machine whose values are sent there, to be let in."""
        return ()

    @property
    def needs_link(self) -> bool:
        """Whether a process here has to hold the way to the daemon; False where its URL is all that it takes."""
        return True

    @classmethod
    @abstractmethod
    def from_entry(cls, entry: Entry) -> Self:
        """The target that an entry of a file describes; keys that are not the target's are passed over."""

    @abstractmethod
    def to_entry(self) -> dict[str, object]:
        """The inverse of `from_entry`: its keys that say something, without `transport`."""

    @classmethod
    @abstractmethod
    def from_uri(cls, parts: URIParts) -> tuple[Self, str | None]:
        """The target and the working directory that a URI names."""

    @abstractmethod
    def uri(self, workdir: str | None = None) -> str:
        """The inverse of `from_uri`; never shows a secret."""

    def display(self, workdir: str | None = None) -> str:
        """The URI as people see it: what says nothing new to them may be left out."""
        return self.uri(workdir)

    def title(self, workdir: str | None = None) -> str:
        """The URI as people see it at work: where it is understood, without the address of an engine."""
        return self.uri(workdir)

    def default_workdir(self, cwd: Path) -> str | None:  # noqa: ARG002 - for those that share our files
        """The directory to use when none is named, seen from `cwd`; None leaves it to the daemon."""
        return None

    def settled(self, environ: Mapping[str, str]) -> Self:  # noqa: ARG002 - for those that depend on it
        """The same with what this machine's settings decide today written out, such as the current context.

        A saved name then means the same tomorrow, and two engines never share a link. It reads small files at most:
        the way to a warm link leads through here. What cannot be read is left open, for the transport to say so.
        """
        return self

    def with_options(self, values: Mapping[str, object]) -> Self:
        """The same with options of the command line laid over it; one the scheme does not know is refused."""
        for option in values:
            if option not in self.options:
                known = ", ".join(f"--{name}" for name in self.options)
                raise UsageError(
                    f"--{option} means nothing for {self.scheme}",
                    hint=f"{self.scheme} takes {known}"
                    if known
                    else f"{self.scheme} takes none of these options",
                )
        changed = {self.options[option]: value for option, value in values.items()}
        return self.from_entry({**self.to_entry(), **changed})
