"""A daemon over HTTP whose answers can be anything: JSON that OpenCode would never send, or bytes without end."""

import json
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread
from typing import Any
from urllib.parse import urlsplit

VERSION = "1.18.33"
SESSION: Mapping[str, Any] = {
    "id": "ses_good",
    "title": "Good",
    "directory": "/app",
    "projectID": "global",
    "time": {"created": 1_764_000_000_000, "updated": 1_764_000_000_000},
    "cost": 0.25,
    "tokens": {"input": 1, "output": 2, "reasoning": 3, "cache": {"read": 4, "write": 5}},
    "model": {"id": "m", "providerID": "p"},
    "agent": "build",
}
"""A session as OpenCode sends it."""


def session(**changed: Any) -> dict[str, Any]:
    """The session with some values replaced; a path with dots replaces an inner value."""
    made: dict[str, Any] = json.loads(json.dumps(SESSION))
    for path, value in changed.items():
        *outer, name = path.split(".")
        place = made
        for each in outer:
            place = place[each]
        place[name] = value
    return made


@dataclass
class OddDaemon:
    """The server: by path, the body of each answer. Requests for other paths get 404."""

    url: str
    bodies: dict[str, bytes] = field(default_factory=dict)
    headers: dict[str, str] = field(default_factory=dict)
    """Further headers of each answer."""

    delays: dict[str, float] = field(default_factory=dict)
    """By path: seconds before the answer."""

    requests: list[str] = field(default_factory=list)

    def answer(self, path: str, content: object) -> None:
        """Answer a path with JSON, or with bytes as they are."""
        self.bodies[path] = content if isinstance(content, bytes) else json.dumps(content).encode()


@contextmanager
def odd_daemon(*sessions: object) -> Iterator[OddDaemon]:
    """A daemon with these sessions, and nothing under way."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            path = urlsplit(self.path).path
            daemon.requests.append(self.path)
            time.sleep(daemon.delays.get(path, 0))
            body = daemon.bodies.get(path)
            self.send_response(404 if body is None else 200)
            for name, value in daemon.headers.items():
                self.send_header(name, value)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(body or b"{}")))
            self.end_headers()
            with suppress(OSError):
                self.wfile.write(body or b"{}")

        def log_message(self, *_: object) -> None:
            """Print nothing."""

    class Server(ThreadingHTTPServer):
        request_queue_size = 256  # connections of many environments at once

    with Server(("127.0.0.1", 0), Handler) as server:
        daemon = OddDaemon(f"http://127.0.0.1:{server.server_port}")
        daemon.answer("/global/health", {"healthy": True, "version": VERSION})
        daemon.answer("/session/status", {})
        daemon.answer("/permission", [])
        daemon.answer("/question", [])
        daemon.answer("/session", list(sessions))
        daemon.answer("/experimental/session", list(sessions))
        Thread(target=server.serve_forever, daemon=True).start()
        try:
            yield daemon
        finally:
            server.shutdown()
