"""The HTTP API of an OpenCode daemon, as far as a connection needs it."""

import base64
import http.client
import json
import time
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote, urlsplit

from ocattach.errors import (
    AuthenticationError,
    ConnectionLostError,
    EnvironmentConfigError,
    OcattachError,
    OpencodeIncompatibleError,
    TimedOutError,
)
from ocattach.opencode.versions import HEALTH_PATHS, answered_version, check_server, config_hint, is_second

TRY_SECONDS = 1.0
"""A request that meets the daemon's start is never answered (1.18.33): every try is short, on its own connection."""

PAUSE_SECONDS = 0.05
MAX_ANSWER = 16 * 1024 * 1024
"""Bytes; an environment cannot make us hold more."""


@dataclass(frozen=True, slots=True)
class Answer:
    """What the daemon answered."""

    status: int
    content_type: str
    body: bytes

    def json(self) -> Any:
        """The body as JSON; None when it is something else, such as the web page that unknown paths give."""
        if "json" not in self.content_type:
            return None
        try:
            return json.loads(self.body)
        except ValueError:
            return None


class DaemonClient:
    """Requests to one daemon; each has its own connection and at most `timeout` seconds."""

    def __init__(self, url: str, *, username: str = "opencode", password: str = "") -> None:
        parts = urlsplit(url)
        self._host, self._port = parts.hostname or "127.0.0.1", parts.port or 80
        self._headers = {"Accept": "application/json"}
        if password:
            credentials = base64.b64encode(f"{username}:{password}".encode()).decode()
            self._headers["Authorization"] = f"Basic {credentials}"

    def request(self, method: str, path: str, body: Any = None, *, timeout: float = TRY_SECONDS) -> Answer:
        """One request. Raises TimedOutError or ConnectionLostError."""
        connection = http.client.HTTPConnection(self._host, self._port, timeout=timeout)
        headers = dict(self._headers)
        data = None
        if body is not None:
            data = json.dumps(body).encode()
            headers["Content-Type"] = "application/json"
        try:
            connection.request(method, path, data, headers)
            response = connection.getresponse()
            return Answer(response.status, response.headers.get_content_type(), response.read(MAX_ANSWER))
        except TimeoutError as error:
            raise TimedOutError(f"The daemon did not answer {method} {path} in {timeout:.0f} s") from error
        except (OSError, http.client.HTTPException) as error:
            raise ConnectionLostError(
                f"The daemon cannot be reached: {str(error) or type(error).__name__}"
            ) from error
        finally:
            connection.close()

    def version(self) -> str:
        """The daemon's version, from its health.

        Raises AuthenticationError, OpencodeIncompatibleError when it is no OpenCode we can use.
        """
        answers = []
        for path in HEALTH_PATHS:
            answer = self.request("GET", path)
            if answer.status == http.client.UNAUTHORIZED:
                raise AuthenticationError("The daemon does not accept the password that is known for it")
            version = answered_version(answer.json())
            if version is not None:
                return check_server(version)
            answers.append(answer)
        status, content_type = answers[0].status, answers[0].content_type
        raise OpencodeIncompatibleError(
            f"What answers there is no OpenCode daemon (status {status}, {content_type})"
        )

    def await_version(self, *, timeout: float) -> str:
        """The version of a daemon that is known to run: a busy one may take its time, one that is gone has none.

        Raises ConnectionLostError at once, TimedOutError after `timeout` seconds.
        """
        deadline = time.monotonic() + timeout
        while True:
            try:
                return self.version()
            except TimedOutError:
                if time.monotonic() > deadline:
                    raise

    def check_directory(self, directory: str | None) -> None:
        """See that the daemon serves sessions in a directory; its health is 200 even with a broken configuration.

        Raises EnvironmentConfigError with the file and what is wrong in it.
        """
        where = f"&directory={quote(directory, safe='')}" if directory else ""
        answer = self.request("GET", f"/session?limit=1{where}")
        content = answer.json()
        if answer.status != http.client.OK or not isinstance(content, list):
            raise request_error(answer.status, content)

    def await_ready(self, directory: str | None, *, timeout: float) -> str:
        """Wait until the daemon serves sessions, at most `timeout` seconds; its version."""
        deadline = time.monotonic() + timeout
        while True:
            try:
                version = self.version()
                if not is_second(version):  # what its session requests look like could not be tried
                    self.check_directory(directory)
            except (TimedOutError, ConnectionLostError) as error:
                if time.monotonic() > deadline:
                    raise TimedOutError(
                        f"The daemon did not become ready in {timeout:.0f} s: {error}"
                    ) from error
                time.sleep(PAUSE_SECONDS)
            else:
                return version


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
