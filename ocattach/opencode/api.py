"""The HTTP API of an OpenCode daemon, as far as a connection needs it."""

import http.client
import json
import time
from collections.abc import Callable
from typing import Any
from urllib.parse import quote

from ocattach.errors import (
    LINK_ERROR,
    AuthenticationError,
    ConnectionLostError,
    EnvironmentConfigError,
    OcattachError,
    OpencodeIncompatibleError,
    TimedOutError,
)
from ocattach.opencode.endpoint import Endpoint, Response, basic_authorization
from ocattach.opencode.versions import HEALTH_PATHS, answered_version, check_server, config_hint, is_second

TRY_SECONDS = 1.0
"""A request that meets the daemon's start is never answered (1.18.33): every try is short, on its own connection."""

PAUSE_SECONDS = 0.05

EVENT_LINES = 10
EVENT_BYTES = 64 * 1024
"""How much is read for the first event of a stream."""

UNKNOWN_PATH = {http.client.OK, http.client.NOT_FOUND}
"""What another version may answer where it has nothing: its web page, with status 200, or what it should."""

LINK_ANSWERS = {http.client.BAD_GATEWAY, http.client.SERVICE_UNAVAILABLE}


def always() -> bool:
    """There is hope."""
    return True


class DaemonClient:
    """Requests to one daemon; each has its own connection and at most `timeout` seconds."""

    def __init__(
        self,
        place: str | Endpoint,
        *,
        username: str = "opencode",
        password: str = "",
        timeout: float = TRY_SECONDS,
    ) -> None:
        self._endpoint = Endpoint(place) if isinstance(place, str) else place
        self._timeout = timeout
        self.known_version = ""
        """The daemon's version, where somebody knows it who is to be believed; empty where it has to be asked."""
        self.still: frozenset[str] = frozenset()
        """The directories in which no session does anything, as somebody knows who is to be believed."""
        self._headers = {"Accept": "application/json"}
        if password:
            self._headers["Authorization"] = basic_authorization(username, password)

    def request(self, method: str, path: str, body: Any = None) -> Response:
        """One request.

        Raises TimedOutError, CertificateError or ConnectionLostError, the latter also when a link answers instead.
        """
        headers = dict(self._headers)
        data = None
        if body is not None:
            data = json.dumps(body).encode()
            headers["Content-Type"] = "application/json"
        answer = self._endpoint.request(method, path, headers, data, timeout=self._timeout)
        if answer.status in LINK_ANSWERS and (reason := link_error(answer.json())):
            raise ConnectionLostError(reason)
        return answer

    def stream(self, path: str, read: Callable[[http.client.HTTPResponse], None], *, silence: float) -> None:
        """Have an answer read that may go on for ever, as long as it is never silent for so many seconds."""
        self._endpoint.exchange("GET", path, self._headers, timeout=self._timeout, silence=silence, read=read)

    def version(self) -> str:
        """The daemon's version, from its health.

        Raises AuthenticationError, OpencodeIncompatibleError when it is no OpenCode we can use.
        """
        return read_version(self.health())

    def health(self) -> Response:
        """What the daemon says of its health, wherever it says so; or something else in its place."""
        first = answer = self.request("GET", HEALTH_PATHS[0])
        for path in HEALTH_PATHS[1:]:
            if answered_version(answer.json()) or answer.status not in UNKNOWN_PATH:
                return answer
            answer = self.request("GET", path)
        return answer if answered_version(answer.json()) else first

    def await_version(self, *, timeout: float, has_hope: Callable[[], bool] = always) -> str:
        """The version of a daemon that is known to run: a busy one may take its time, one that is gone has none.

        Raises ConnectionLostError at once, TimedOutError after `timeout` seconds or once there is no hope.
        """
        deadline = time.monotonic() + timeout
        while True:
            try:
                return self.version()
            except TimedOutError:
                if time.monotonic() > deadline or not has_hope():
                    raise

    def check_directory(self, directory: str | None) -> None:
        """See that the daemon serves sessions in a directory; its health is 200 even with a broken configuration.

        Raises EnvironmentConfigError with the file and what is wrong in it.
        """
        self.sessions(directory, limit=1)

    def sessions(self, directory: str | None, *, limit: int) -> list[Any]:
        """The latest sessions in a directory. Raises what `check_directory` raises."""
        answer = self.request("GET", f"/session?limit={limit}{in_directory(directory)}")
        content = answer.json()
        if answer.status != http.client.OK or not isinstance(content, list):
            raise request_error(answer.status, content)
        return content

    def first_event(self, directory: str | None) -> str:
        """The type of the first event of a directory's stream of events, which is then given up."""
        path = f"/event?{in_directory(directory).removeprefix('&')}"
        return self._endpoint.exchange("GET", path, self._headers, timeout=self._timeout, read=read_event)

    def home(self) -> str:
        """The home directory of the account that the daemon runs as."""
        answer = self.request("GET", "/path")
        content = answer.json()
        if not isinstance(content, dict) or not isinstance(content.get("home"), str):
            raise request_error(answer.status, content)
        return str(content["home"])

    def real_directory(self, directory: str) -> str:
        """A directory as its sessions have it: without symbolic links (1.18.33)."""
        content = self.request("GET", f"/path?{in_directory(directory).removeprefix('&')}").json()
        real = content.get("directory") if isinstance(content, dict) else None
        return real if isinstance(real, str) and real else directory

    def has_directory(self, directory: str) -> bool:
        """Whether the daemon can read a directory; 1.18.33 answers 500 where it cannot, and sessions there are lost."""
        answer = self.request("GET", f"/file?path=.&directory={quote(directory, safe='')}")
        return answer.status != http.client.INTERNAL_SERVER_ERROR

    def await_ready(
        self, directory: str | None, *, timeout: float, has_hope: Callable[[], bool] = always
    ) -> str:
        """Wait until the daemon serves sessions, at most `timeout` seconds and while there is hope; its version."""
        deadline = time.monotonic() + timeout
        while True:
            try:
                version = self.version()
                if not is_second(version):  # what its session requests look like could not be tried
                    self.check_directory(directory)
            except (TimedOutError, ConnectionLostError) as error:
                if time.monotonic() > deadline or not has_hope():
                    raise TimedOutError(f"The daemon did not become ready: {error}") from error
                time.sleep(PAUSE_SECONDS)
            else:
                return version


def in_directory(directory: str | None) -> str:
    """The part of a query that says where."""
    return f"&directory={quote(directory, safe='')}" if directory else ""


def read_event(response: http.client.HTTPResponse) -> str:
    """The type of the first event of a stream: `data: {"type": "server.connected", ...}` (1.18.33).

    Raises OcattachError when what came is no such stream.
    """
    for _ in range(EVENT_LINES):
        line = response.readline(EVENT_BYTES)
        if line.startswith(b"data:"):
            try:
                event = json.loads(line.removeprefix(b"data:"))
            except ValueError:
                break
            if isinstance(event, dict) and isinstance(event.get("type"), str):
                return str(event["type"])
            break
        if not line:
            break
    raise OcattachError(
        f"The daemon gives no stream of events (status {response.status}, {response.headers.get_content_type()})",
        hint="What stands between may hold back what is not complete: a proxy has to pass streams on unbuffered",
    )


def read_version(answer: Response) -> str:
    """The version in what a daemon says of its health.

    Raises AuthenticationError, OpencodeIncompatibleError when it is no OpenCode we can use.
    """
    if answer.status == http.client.UNAUTHORIZED:
        raise AuthenticationError(
            "The daemon does not accept the password that is known for it",
            hint="Another one may have taken its place: end it (ocattach --stop --force NAME), and connect again",
        )
    version = answered_version(answer.json())
    if version is None:
        raise OpencodeIncompatibleError(
            f"What answers there is no OpenCode daemon (status {answer.status}, {answer.content_type})"
        )
    return check_server(version)


def link_error(content: Any) -> str | None:
    """Why a link answers in the daemon's place, where it does."""
    if not isinstance(content, dict) or content.get("name") != LINK_ERROR:
        return None
    data = content.get("data")
    return str(data.get("message")) if isinstance(data, dict) else "No reason was given"


def request_error(status: int, content: Any) -> OcattachError:
    """Why a session request failed, as OpenCode words it: {"name", "data": {"path", "issues", "message"}}."""
    name = content.get("name") if isinstance(content, dict) else None
    data = content.get("data") if isinstance(content, dict) else None
    if name in {"ConfigInvalidError", "ConfigJsonError"} and isinstance(data, dict):
        issues = [issue for issue in data.get("issues") or [] if isinstance(issue, dict)]
        reasons = [describe_issue(issue) for issue in issues]
        reason = "; ".join(reasons) or str(data.get("message") or "it is not valid JSON(C)").strip()
        return EnvironmentConfigError(
            f"OpenCode in the environment rejects its configuration {data.get('path')}: {reason}",
            hint=config_hint(reason),
        )
    return OcattachError(
        f"The daemon runs, and answers requests for sessions with status {status} ({name or 'no reason given'})"
    )


def describe_issue(issue: dict[str, Any]) -> str:
    """One thing that is wrong in a configuration."""
    path = ".".join(str(part) for part in issue.get("path") or [])
    message = str(issue.get("message") or issue.get("code") or "invalid")
    return f"{path}: {message}" if path else message
