"""A fake of OpenCode 2, which cannot be installed here: just what its published source says of its edges.

Run as a program it is that fake; `install` puts it in place. It has no agent, no sessions and no screen.
From packages/cli/src of OpenCode 2: `--server URL [dir]` takes the place of `attach`, and reads OPENCODE_PASSWORD, else
OPENCODE_SERVER_PASSWORD; the user is always "opencode". `serve --service`, which `service start` runs, always asks for
a password, and keeps {id, url, password, version, pid} in $XDG_STATE_HOME/opencode/service*.json. `/api/info` tells
the version (before 2.0.24: `/api/health`); what it does not know, `/global/health` too, it answers with a web page.
"""

import base64
import http.server
import json
import os
import re
import secrets
import stat
import sys
import urllib.parse
import urllib.request
from pathlib import Path

VERSION = "2.0.24"
INFO = "/api/info"


def install(folder: Path, *, info: str = INFO) -> Path:
    """The fake as a program called opencode, which tells its version at this path."""
    folder.mkdir(parents=True)
    program = folder / "opencode"
    source = Path(__file__).read_text().replace(f'INFO = "{INFO}"', f'INFO = "{info}"', 1)
    program.write_text(f"#!{sys.executable}\n{source}")
    program.chmod(0o755)
    return program


SESSION = "ses_two"
PENDING: dict[str, dict[str, object]] = {
    "per_two": {"sessionID": SESSION, "action": "shell", "resources": ["make"], "save": ["make *"]},
    "frm_two": {
        "sessionID": SESSION,
        "title": "Two questions",
        "fields": [
            {
                "key": "q0",
                "type": "string",
                "title": "Colour",
                "description": "Which colour?",
                "options": [{"value": "r", "label": "red"}, {"value": "b", "label": "blue"}],
            },
            {
                "key": "q1",
                "type": "multiselect",
                "options": [{"value": "s", "label": "S"}, {"value": "l", "label": "L"}],
            },
            {"key": "q2", "type": "boolean"},
            {"key": "q3", "type": "integer"},
        ],
    },
}
"""What a session waits for, wherever it is asked for a directory."""

ANSWERS: list[list[object]] = []


class Handler(http.server.BaseHTTPRequestHandler):
    """The daemon's few answers."""

    password = ""

    def is_refused(self) -> bool:
        expected = base64.b64encode(f"opencode:{self.password}".encode()).decode()
        if self.headers.get("Authorization") != f"Basic {expected}":
            self.answer(401, "text/plain", b"")
            return True
        return False

    def do_GET(self) -> None:
        if self.is_refused():
            return
        url = urllib.parse.urlsplit(self.path)
        directory = urllib.parse.parse_qs(url.query).get("location[directory]")
        location = {"directory": directory and directory[0]}
        beginning = {"/api/permission/request": "per_", "/api/form": "frm_"}.get(url.path)
        if self.path == INFO:
            self.answer_json({"version": VERSION})
        elif beginning:
            found = [{"id": key, **what} for key, what in PENDING.items() if key.startswith(beginning)]
            self.answer_json({"location": location, "data": found if directory else []})
        elif url.path == f"/api/session/{SESSION}":
            self.answer_json({"data": {"id": SESSION, "title": "Two", "location": location, "time": {}}})
        elif url.path == "/answers":
            self.answer_json(ANSWERS)
        else:
            self.answer(200, "text/html", b"<!doctype html><title>OpenCode</title>")

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        if self.is_refused():
            return
        found = re.fullmatch(rf"/api/session/{SESSION}/(?:permission|form)/(\w+)/reply", self.path)
        if found and PENDING.pop(found[1], None):
            ANSWERS.append([found[1], json.loads(body)])
            self.answer(204, "application/json", b"")
        else:
            self.answer(404, "application/json", b"{}")

    def answer_json(self, content: object) -> None:
        self.answer(200, "application/json", json.dumps(content).encode())

    def answer(self, status: int, kind: str, body: bytes) -> None:
        self.send_response(status)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        return


def serve(arguments: list[str]) -> None:
    """Be the daemon."""
    host = arguments[arguments.index("--hostname") + 1] if "--hostname" in arguments else "127.0.0.1"
    port = int(arguments[arguments.index("--port") + 1]) if "--port" in arguments else 0
    environ = os.environ
    given = environ.get("OPENCODE_PASSWORD") or environ.get("OPENCODE_SERVER_PASSWORD")
    as_service = "--service" in arguments
    Handler.password = secrets.token_hex(32) if as_service or not given else given
    server = http.server.ThreadingHTTPServer((host, port), Handler)
    url = f"http://{host}:{server.server_port}"
    if as_service:
        state = Path(environ.get("XDG_STATE_HOME") or Path.home() / ".local/state") / "opencode"
        state.mkdir(parents=True, exist_ok=True)
        file = state / "service.json"
        file.touch(stat.S_IRUSR | stat.S_IWUSR)
        registration = {"id": "srv_1", "url": url, "password": Handler.password}
        file.write_text(json.dumps({**registration, "version": VERSION, "pid": os.getpid()}))
    print(f"opencode server listening on {url}", flush=True)  # noqa: T201
    server.serve_forever()


def show(url: str, directory: str) -> None:
    """Be the TUI: log in, say what was seen, and wait for a key."""
    password = os.environ.get("OPENCODE_PASSWORD") or os.environ.get("OPENCODE_SERVER_PASSWORD") or ""
    credentials = base64.b64encode(f"opencode:{password}".encode()).decode()
    request = urllib.request.Request(f"{url}{INFO}", headers={"Authorization": f"Basic {credentials}"})  # noqa: S310
    with urllib.request.urlopen(request, timeout=5) as response:  # noqa: S310
        version = json.load(response)["version"]
    print(f"fake TUI on OpenCode {version} in {directory}")  # noqa: T201
    input()


if __name__ == "__main__":
    match sys.argv[1:]:
        case ["--version"]:
            print(VERSION)  # noqa: T201
        case ["serve", *arguments]:
            serve(arguments)
        case ["--server", url]:
            show(url, "no directory")
        case ["--server", url, directory]:
            show(url, directory)
        case _:
            sys.exit(f"opencode 2 has no {sys.argv[1:]}")
