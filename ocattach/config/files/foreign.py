"""Configuration files of other programs: read without blocking, within bounds, and with errors that name them."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from ocattach.config.files.entry import as_table
from ocattach.config.files.safe import read_text
from ocattach.errors import ConfigurationError, UsageError
from ocattach.untrusted_json import parse_json


def read_object(path: Path) -> Mapping[str, object]:
    """The JSON object in a file; an empty one if there is no file, or null in it.

    Raises ValueError if it is not JSON, UsageError if it is not an object, and what `read_text` raises.
    """
    content = parse_json((read_text(path) or "null").encode())
    return {} if content is None else as_table(content, "the file")


@contextmanager
def naming(owner: str, path: Path, *, hint: str) -> Iterator[None]:
    """Raise ConfigurationError with owner and path for what is wrong in a file; its values are not repeated."""
    try:
        yield
    except ConfigurationError as error:
        raise ConfigurationError(f"{owner}'s configuration {error.message}", hint=hint) from error
    except UsageError as error:
        raise ConfigurationError(f"{owner}'s configuration {path}: {error.message}", hint=hint) from error
    except (OSError, ValueError, RecursionError) as error:
        raise ConfigurationError(
            f"{owner}'s configuration {path} is not valid: {error}", hint=hint
        ) from error
