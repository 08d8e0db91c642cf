"""URIs of environments, such as docker://frontend-app:/app."""

from collections.abc import Mapping
from typing import NamedTuple

from ocattach.config.targets import key_types
from ocattach.config.targets.base import Target
from ocattach.config.targets.registry import URI_SCHEMES, target_class
from ocattach.config.targets.rules import check_workdir
from ocattach.config.targets.uri_text import split_uri
from ocattach.config.variables import absolute
from ocattach.errors import InvalidURIError, UsageError


class ParsedURI(NamedTuple):
    """The target and working directory of a URI."""

    target: Target
    workdir: str | None = None


def is_uri(text: str) -> bool:
    """Whether an argument is a URI and not a name."""
    return "://" in text


def parse_uri(text: str) -> ParsedURI:
    """Parse a URI. Paths of this machine are made absolute. Raises InvalidURIError and nothing else."""
    try:
        parts = split_uri(text)
        kind = target_class(URI_SCHEMES.get(parts.scheme, parts.scheme))
        target, workdir = kind.from_uri(parts._replace(query=with_absolute_files(parts.query, kind)))
        if workdir is not None:
            check_workdir(workdir)
    except UsageError as error:
        raise InvalidURIError(error.message, hint=error.hint) from error
    return ParsedURI(target, workdir)


def with_absolute_files(query: Mapping[str, str], kind: type[Target]) -> dict[str, str]:
    """The values after `?`, with those that name files of this machine made absolute."""
    files = {key for key, schema in kind.keys.items() if schema.get("pattern") == key_types.FILE}
    return {key: absolute(value) if key in files else value for key, value in query.items()}
