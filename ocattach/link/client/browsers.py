"""Logs browsers in at the local port of a link, and out."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from ocattach.config.files.safe import not_written
from ocattach.config.spec import ConnectionSpec, origin_name
from ocattach.link.client.foreground import GRACE_SECONDS, ask, end_link
from ocattach.link.client.queries import query
from ocattach.link.files import browser_file
from ocattach.link.messages import Foreground

LINK_SECONDS = 60
"""How long the link can be opened (`tunnel.browser.LINK_SECONDS`)."""


@dataclass(frozen=True, slots=True)
class BrowserLogin:
    """A one-time link, `login`, to the page whose start is at `url`."""

    url: str
    login: str = field(repr=False)
    token: str = field(repr=False)


def new_login(
    spec: ConnectionSpec, foreground: Foreground, environ: Mapping[str, str], *, path: str
) -> BrowserLogin:
    """Return a one-time link to a path of the page. The environment must be attached."""
    request = {"do": "log-in", "name": origin_name(spec), "path": path}
    answer = ask(spec, request, foreground, environ, timeout=GRACE_SECONDS)
    return BrowserLogin(**answer["browser"])


def await_login(
    spec: ConnectionSpec, login: BrowserLogin, foreground: Foreground, environ: Mapping[str, str]
) -> bool:
    """Wait until a link was opened, was revoked, or is too old. Returns whether it was opened."""
    request = {"do": "await-log-in", "token": login.token}
    return bool(ask(spec, request, foreground, environ, timeout=LINK_SECONDS)["logged_in"])


def log_out(key: str, environ: Mapping[str, str]) -> None:
    """Make all cookies and links of an environment invalid. Ends a link that does not confirm it."""
    file = browser_file(key, environ)
    try:
        file.unlink(missing_ok=True)
    except OSError as error:
        raise not_written(file, error) from error
    if "logged_out" not in query(key, environ, {"do": "log-out"}, timeout=GRACE_SECONDS):
        end_link(key, environ)
