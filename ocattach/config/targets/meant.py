"""Guess the URI that a person meant by something else, such as `tester@host`."""

import os
import re
from urllib.parse import quote

from ocattach.config.targets.registry import URI_SCHEMES, transports
from ocattach.config.targets.uri import parse_uri
from ocattach.config.targets.uri_text import SAFE_IN_PATH
from ocattach.errors import InvalidURIError

HOST = re.compile(r"[\w.@-]+(:/.*)?")
"""What ssh and scp take: a host, with a user or a directory."""


def meant_uri(text: str) -> str | None:
    """The URI for a directory, for `docker:NAME`, or for a host as ssh and scp take it; else None."""
    scheme, colon, rest = text.partition(":")
    if text.startswith((".", "/", "~")):
        uri = f"local://{quote(os.path.abspath(os.path.expanduser(text)), safe=SAFE_IN_PATH)}"  # noqa: PTH100, PTH111
    elif colon and scheme in {*transports(), *URI_SCHEMES}:
        uri = f"{scheme}://{rest.lstrip('/')}"
    elif HOST.fullmatch(text):
        uri = f"ssh://{text}"
    else:
        return None
    try:
        parse_uri(uri)
    except InvalidURIError:
        return None
    return uri
