"""Connections that the user has saved: one small file each.

Saving and removing touch that file alone: a comment in another is never lost, a damaged one harms no other.
"""

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

from ocattach.config.files import Problem, flush_directory, locked, not_written, read_text, write_text
from ocattach.config.names import check_name
from ocattach.config.spec import ConnectionSpec, Source
from ocattach.config.suggestion import closest
from ocattach.config.yaml_text import read_mapping, write_mapping
from ocattach.errors import ConfigurationError, ConnectionNotFoundError, UsageError

EXTENSION = ".yaml"


class SavedConnections:
    """The saved connections in a directory, which need not exist."""

    def __init__(self, config_directory: Path) -> None:
        self.directory = config_directory / "connections"

    def save(self, name: str, spec: ConnectionSpec, *, force: bool = False) -> ConnectionSpec:
        """Save a connection under a name; a taken one only with `force`. Returns it as it is now known."""
        check_name(name)
        path = self.path(name)
        text = write_mapping(spec.to_entry())
        with locked(self.directory):
            if path.exists() and not force:
                raise UsageError(f"{name} is taken by {path}", hint="Replace it with --force")
            write_text(path, text)
        return replace(spec, name=name, source=Source("user", path))

    def find(self, name: str) -> ConnectionSpec | None:
        """The connection of that name, reading its file alone; None when there is none."""
        check_name(name)
        path = self.path(name)
        text = read_text(path)
        if text is None:
            return None
        try:
            return ConnectionSpec.from_entry(read_mapping(text, path), name=name, source=Source("user", path))
        except ConfigurationError:
            raise
        except UsageError as error:
            raise ConfigurationError(f"{path}: {error.message}", hint=error.hint) from error

    def load(self, name: str) -> ConnectionSpec:
        """The connection of that name; raises ConnectionNotFoundError with near names when there is none."""
        spec = self.find(name)
        if spec is None:
            raise self._not_found(name)
        return spec

    def all(self) -> Iterator[ConnectionSpec | Problem]:
        """Every saved connection by name; one that cannot be used as a problem in its place."""
        for name in self.names():
            try:
                spec = self.find(name)
            except ConfigurationError as error:
                yield Problem(self.path(name), name, error)
            except UsageError as error:
                path = self.path(name)
                yield Problem(path, name, ConfigurationError(f"{path}: {error.message}", hint=error.hint))
            else:
                if spec is not None:
                    yield spec

    def names(self) -> list[str]:
        """The names of all saved connections, without reading them."""
        try:
            entries = list(self.directory.iterdir())
        except (FileNotFoundError, NotADirectoryError):
            return []
        except OSError as error:
            raise ConfigurationError(f"{self.directory} cannot be read: {error.strerror}") from error
        return sorted(path.stem for path in entries if path.suffix == EXTENSION)

    def remove(self, name: str) -> None:
        """Remove a connection, a damaged one too; raises ConnectionNotFoundError with near names."""
        check_name(name)
        if name not in self.names():
            raise self._not_found(name)
        path = self.path(name)
        with locked(self.directory):
            try:
                path.unlink(missing_ok=True)
                flush_directory(self.directory)
            except OSError as error:
                raise not_written(path, error) from error

    def path(self, name: str) -> Path:
        """The file of a connection."""
        return self.directory / f"{name}{EXTENSION}"

    def _not_found(self, name: str) -> ConnectionNotFoundError:
        near = closest(name, self.names())
        question = f"Did you mean {' or '.join(near)}? " if near else ""
        return ConnectionNotFoundError(
            f"No connection named {name} is saved", hint=f"{question}All are listed by: ocattach --list"
        )
