"""Saved connections, one YAML file each.

Saving and removing write only that file, so comments in others are kept and a damaged file affects no other.
"""

import os
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import replace
from pathlib import Path

from ocattach.config.files.owner import read_own_text
from ocattach.config.files.safe import Problem, flush_directory, locked, naming, not_written, write_text
from ocattach.config.files.yaml_text import read_mapping
from ocattach.config.names import check_name
from ocattach.config.spec import ConnectionSpec, DefinitionSource
from ocattach.config.suggestion import or_list
from ocattach.errors import ConfigurationError, ConnectionNotFoundError, UsageError
from ocattach.printable import command_line

EXTENSION = ".yaml"


class SavedConnections:
    """The saved connections below a configuration directory, which need not exist."""

    def __init__(self, config_directory: Path) -> None:
        self.directory = config_directory / "connections"

    def save(self, name: str, spec: ConnectionSpec, *, force: bool = False) -> ConnectionSpec:
        """Save a connection under a name and return it as saved. Raises UsageError for a taken name without `force`."""
        from ocattach.config.files.yaml_merge import replace_text, write_mapping  # noqa: PLC0415 - heavy (yaml)

        check_name(name)
        path = self.path(name)
        text = write_mapping(spec.to_entry())
        with locked(self.directory):
            if self._has(path):
                if not force:
                    raise UsageError(
                        f"A connection named {name} already exists: {path}",
                        hint=f"To see it: {command_line('ocattach', 'explain', name)}. To replace it, add --force",
                    )
                text = replace_text(path, text)
            elif os.path.lexists(path):
                raise UsageError(
                    f"{name} differs only in case from an existing name, and {self.directory} is not case-sensitive",
                    hint=f"Choose another name, such as my-{name}",
                )
            write_text(path, text)
            self._sweep(path)
        return replace(spec, name=name, source=DefinitionSource("user", path))

    def find(self, name: str) -> ConnectionSpec | None:
        """The connection of a name, read from its file; None if there is none."""
        check_name(name)
        path = self.path(name)
        text = read_own_text(path, self.directory.parent)
        if text is None or not self._has(path):
            return None
        source = DefinitionSource("user", path)
        with naming(path):
            return ConnectionSpec.from_entry(read_mapping(text, path), name=name, source=source)

    def all(self) -> Iterator[ConnectionSpec | Problem]:
        """All saved connections sorted by name; a Problem in place of each invalid one."""
        for name in self.names():
            path = self.path(name)
            try:
                with naming(path):
                    spec = self.find(name)
            except ConfigurationError as error:
                yield Problem(path, name, error)
            else:
                if spec is not None:
                    yield spec

    def names(self) -> list[str]:
        """The names of all saved connections, without reading their files."""
        try:
            entries = list(self.directory.iterdir())
        except (FileNotFoundError, NotADirectoryError):
            return []
        except OSError as error:
            raise ConfigurationError(f"{self.directory} cannot be read: {error.strerror}") from error
        return sorted(path.stem for path in entries if path.suffix == EXTENSION)

    def remove(self, name: str) -> None:
        """Remove a connection, valid or not. Raises ConnectionNotFoundError with similar names."""
        self.check_exists(name)
        path = self.path(name)
        with locked(self.directory):
            try:
                path.unlink(missing_ok=True)
                flush_directory(self.directory)
            except OSError as error:
                raise not_written(path, error) from error

    def rename(self, old: str, new: str) -> None:
        """Give a connection, valid or not, another name.

        Raises ConnectionNotFoundError with similar names, and UsageError for a name that is taken or invalid.
        """
        check_name(new)
        self.check_exists(old)
        if old == new:
            raise UsageError(f"{old} has that name already", hint="NEW must be another name than OLD")
        with locked(self.directory):
            if new in self.names():
                raise UsageError(
                    f"{new} exists already",
                    hint=f"Remove it first: {command_line('ocattach', '--remove', new)}",
                )
            try:
                self.path(old).rename(self.path(new))
                flush_directory(self.directory)
            except OSError as error:
                raise not_written(self.path(new), error) from error

    def check_exists(self, name: str) -> None:
        """Raise ConnectionNotFoundError with similar names for a name without a connection, valid or not."""
        check_name(name)
        if name not in self.names():
            raise ConnectionNotFoundError(
                f"No saved connection named {name}", hint=or_list(name, self.names())
            )

    def path(self, name: str) -> Path:
        """The file of a connection, which need not exist."""
        return self.directory / f"{name}{EXTENSION}"

    def _has(self, path: Path) -> bool:
        """Whether a file of exactly this name exists, also on a file system that ignores case."""
        try:
            return path.name in os.listdir(self.directory)  # noqa: PTH208 - faster; every warm start runs it
        except OSError:  # the directory can be searched but not listed
            return os.path.lexists(path)

    def _sweep(self, path: Path) -> None:
        """Remove temporary files of interrupted saves. The caller holds the lock, so none is in use."""
        with suppress(OSError):  # the next save removes them
            for name in os.listdir(self.directory):  # noqa: PTH208 - as above
                if name.startswith(f".{path.name}.") and name.endswith(".tmp"):
                    (self.directory / name).unlink()
