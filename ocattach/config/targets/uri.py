"""URIs of environments, such as docker://frontend-app:/app."""

from dataclasses import dataclass

from ocattach.config.targets.base import Target
from ocattach.config.targets.registry import URI_SCHEMES, target_class
from ocattach.config.targets.rules import check_workdir
from ocattach.config.targets.uri_text import split_uri
from ocattach.errors import InvalidURIError, UsageError


@dataclass(frozen=True, slots=True)
class ParsedURI:
    """The target and working directory of a URI."""

    target: Target
    workdir: str | None = None


def is_uri(text: str) -> bool:
    """Whether an argument is a URI and not a name."""
    return "://" in text


def parse_uri(text: str) -> ParsedURI:
    """Parse a URI. Raises InvalidURIError and nothing else."""
    try:
        parts = split_uri(text)
        target, workdir = target_class(URI_SCHEMES.get(parts.scheme, parts.scheme)).from_uri(parts)
        if workdir is not None:
            check_workdir(workdir)
    except UsageError as error:
        raise InvalidURIError(error.message, hint=error.hint) from error
    return ParsedURI(target, workdir)
