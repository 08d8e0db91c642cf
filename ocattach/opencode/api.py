"""The HTTP API of an OpenCode daemon, except sessions, prompts and events."""

import http.client
import json
import time
from collections.abc import Callable, Mapping
from typing import Any
from urllib.parse import quote, urlencode

from ocattach.backoff import Deadline
from ocattach.errors import (
    LINK_ERROR,
    AuthenticationError,
    ConnectionLostError,
    EnvironmentConfigError,
    OcattachError,
    OpencodeIncompatibleError,
    TimedOutError,
)
from ocattach.opencode.endpoint import Endpoint, Response, basic_authorization, read_answer
from ocattach.opencode.versions import HEALTH_PATHS, answered_version, check_server, config_hint, is_second
from ocattach.untrusted_json import objects, parse_json, table

TRY_SECONDS = 1.0
"""Seconds of one request. A request during the start of the daemon is never answered (1.18.33), so tries are short."""

AGAIN_SECONDS = 2.5
"""How long the version is retried: a request during the start of the daemon is never answered."""

PAUSE_SECONDS = 0.05

EVENT_LINES = 10
EVENT_BYTES = 64 * 1024
"""How much is read to find the first event of a stream."""

DATA = b"data:"
UNKNOWN_PATH = {http.client.OK, http.client.NOT_FOUND}
"""How other versions answer paths they do not have: with their web page and status 200, or with 404."""

LINK_ANSWERS = {http.client.BAD_GATEWAY, http.client.SERVICE_UNAVAILABLE}


class DaemonClient:
    """Requests to one daemon. Each uses its own connection and takes at most `timeout` seconds."""

    def __init__(
        self,
        place: str | Endpoint,
        *,
        username: str = "opencode",
        password: str = "",
        timeout: float = TRY_SECONDS,
        ca_file: str | None = None,
    ) -> None:
        self._endpoint = Endpoint(place, ca_file=ca_file) if isinstance(place, str) else place
        self._timeout = timeout
        self.known_version = ""
        """The version, if the link knows it; else empty."""
        self.idle_directories: frozenset[str] = frozenset()
        """The directories in which no session works, as far as the link knows."""
        self._headers = {"Accept": "application/json"}
        if password:
            self._headers["Authorization"] = basic_authorization(username, password)

    def request(self, method: str, path: str, body: Any = None) -> Response:
        """Send a request and return the response.

        Raises TimedOutError, CertificateError, or ConnectionLostError, also if the link answers in place of the daemon.
        """
        headers = dict(self._headers)
        data = None
        if body is not None:
            data = json.dumps(body).encode()
            headers["Content-Type"] = "application/json"
        answer = self._endpoint.exchange(method, path, headers, data, timeout=self._timeout, read=read_answer)
        if answer.status in LINK_ANSWERS and (reason := link_error(answer.json())):
            raise ConnectionLostError(reason)
        return answer

    def stream(self, path: str, read: Callable[[http.client.HTTPResponse], None], *, silence: float) -> None:
        """Pass a response without end to `read`, as long as it is never silent for `silence` seconds."""
        self._endpoint.exchange("GET", path, self._headers, timeout=self._timeout, silence=silence, read=read)

    def version(self) -> str:
        """Return the version of the daemon.

        Raises AuthenticationError, or OpencodeIncompatibleError if it is not a usable OpenCode.
        """
        return read_version(self.health())

    def health(self) -> Response:
        """Return the response of the first health path that this version has, else that of the first path."""
        first = answer = self.request("GET", HEALTH_PATHS[0])
        for path in HEALTH_PATHS[1:]:
            if answered_version(answer.json()) or answer.status not in UNKNOWN_PATH:
                return answer
            answer = self.request("GET", path)
        return answer if answered_version(answer.json()) else first

    def await_version(
        self, *, timeout: float = AGAIN_SECONDS, may_recover: Callable[[], bool] = lambda: True
    ) -> str:
        """Return the version of a daemon that is known to run, and that may be busy.

        Raises ConnectionLostError at once, TimedOutError after `timeout` seconds or when `may_recover` returns False.
        """
        deadline = Deadline(timeout)
        while True:
            try:
                return self.version()
            except TimedOutError:
                if deadline.has_passed or not may_recover():
                    raise

    def sessions(self, directory: str | None, *, limit: int = 1) -> list[Any]:
        """Return the latest sessions of a directory, for checks: with a broken configuration the health is still 200.

        Raises EnvironmentConfigError with the file and the error in it.
        """
        answer = self.request("GET", f"/session{query(limit=limit, directory=directory)}")
        content = answer.json()
        if answer.status != http.client.OK or not isinstance(content, list):
            raise request_error(answer.status, content)
        return content

    def first_event(self, directory: str | None) -> str:
        """Return the type of the first event of a directory, and close the stream."""
        path = f"/event{query(directory=directory)}"
        return self._endpoint.exchange("GET", path, self._headers, timeout=self._timeout, read=read_event)

    def home(self) -> str:
        """Return the home directory of the account that runs the daemon."""
        answer = self.request("GET", "/path")
        home = table(answer.json()).get("home")
        if not isinstance(home, str):
            raise request_error(answer.status, answer.json())
        return home

    def real_directory(self, directory: str) -> str:
        """Return a directory without symbolic links, as in its sessions (1.18.33)."""
        content = table(self.request("GET", f"/path{query(directory=directory)}").json())
        real = content.get("directory")
        return real if isinstance(real, str) and real else directory

    def has_directory(self, directory: str) -> bool:
        """Return whether the daemon can read a directory. If it cannot, 1.18.33 answers 500."""
        answer = self.request("GET", f"/file{query(path='.', directory=directory)}")
        return answer.status != http.client.INTERNAL_SERVER_ERROR

    def await_ready(
        self, directory: str | None, *, timeout: float, may_recover: Callable[[], bool] = lambda: True
    ) -> str:
        """Wait until sessions work in a directory, and return the version of the daemon.

        Raises TimedOutError after `timeout` seconds, or when `may_recover` returns False.
        """
        deadline = Deadline(timeout)
        while True:
            try:
                version = self.version()
                if not is_second(version):  # its session requests could not be tested
                    self.sessions(directory)
            except (TimedOutError, ConnectionLostError) as error:
                if deadline.has_passed or not may_recover():
                    raise TimedOutError(f"The daemon did not become ready: {error}") from error
                time.sleep(PAUSE_SECONDS)
            else:
                return version


def absolute(client: DaemonClient, directory: str | None) -> str | None:
    """Return the absolute path of a directory, as the API requires it."""
    if directory is not None and (directory == "~" or directory.startswith("~/")):
        return client.home() + directory.removeprefix("~")
    return directory


def query(**values: str | int | None) -> str:
    """Return the query string with these values, without those that are empty or None."""
    given = {name: value for name, value in values.items() if value not in {None, ""}}
    return f"?{urlencode(given, quote_via=quote, safe='')}" if given else ""


def read_event(response: http.client.HTTPResponse) -> str:
    """Return the type of the first event of a stream: `data: {"type": "server.connected", ...}` (1.18.33).

    Raises OcattachError if the response is not a stream of events.
    """
    for _ in range(EVENT_LINES):
        line = response.readline(EVENT_BYTES)
        if not line or line.startswith(DATA):
            break
    kind = read_data(line).get("type")
    if isinstance(kind, str):
        return kind
    raise OcattachError(
        f"The daemon did not send a stream of events (status {response.status}, {response.headers.get_content_type()})",
        hint="A proxy in between may buffer responses: turn its buffering off",
    )


def read_data(line: bytes) -> Mapping[str, Any]:
    """Return the JSON object in a line of a stream of events; an empty one for any other line."""
    try:
        return table(parse_json(line.removeprefix(DATA))) if line.startswith(DATA) else {}
    except ValueError:  # such as the rest of an event that was too long
        return {}


def rejected_password() -> AuthenticationError:
    """Return the error for a daemon that does not take its password, because another one has its port now."""
    return AuthenticationError(
        "The daemon rejects the stored password",
        hint="Another daemon may use its port now: stop that (ocattach --stop --force NAME), and connect again",
    )


def read_version(answer: Response) -> str:
    """Return the version in a health response.

    Raises AuthenticationError, or OpencodeIncompatibleError if it is not a usable OpenCode.
    """
    if answer.status == http.client.UNAUTHORIZED:
        raise rejected_password()
    version = answered_version(answer.json())
    if version is None:
        raise OpencodeIncompatibleError(
            f"The server is not an OpenCode daemon (status {answer.status}, {answer.content_type})"
        )
    return check_server(version)


def link_error(content: Any) -> str | None:
    """Return the reason if the link answered in place of the daemon, else None."""
    if table(content).get("name") != LINK_ERROR:
        return None
    data = content.get("data")
    return str(data.get("message")) if isinstance(data, dict) else "no reason given"


def request_error(status: int, content: Any) -> OcattachError:
    """Return the error for a failed request, from OpenCode's {"name", "data": {"path", "issues", "message"}}."""
    name, data = table(content).get("name"), table(content).get("data")
    if name in {"ConfigInvalidError", "ConfigJsonError"} and isinstance(data, dict):
        reasons = [describe_issue(issue) for issue in objects(data.get("issues"))]
        reason = "; ".join(reasons) or str(data.get("message") or "it is not valid JSON(C)").strip()
        return EnvironmentConfigError(
            f"OpenCode in the environment rejects its configuration {data.get('path')}: {reason}",
            hint=config_hint(reason),
        )
    return OcattachError(
        f"The daemon runs, but answers requests for sessions with status {status} ({name or 'no reason given'})"
    )


def describe_issue(issue: dict[str, Any]) -> str:
    """Describe one error of a configuration."""
    path = ".".join(str(part) for part in issue.get("path") or [])
    message = str(issue.get("message") or issue.get("code") or "invalid")
    return f"{path}: {message}" if path else message
