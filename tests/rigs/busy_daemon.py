"""Daemons that are busy all the time: each sends tool calls at a fixed pace. They have no sessions.

`python -m tests.rigs.busy_daemon PACE CALLS LENGTH` is a separate process, so that it shares no interpreter with what
reads them. It serves any number of daemons, one for each path, and begins to send when a line comes in.
"""

import json
import os
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import IO

import psutil

from tests.rigs.directories import short_directory
from tests.rigs.odd_daemon import VERSION
from tests.rigs.opencode import CHECKOUT
from tests.rigs.processes import command_lines

SESSION = "ses_busy"


def tool_call(number: int, output: str) -> tuple[bytes, bytes]:
    """The events of a tool call: it runs, and has ended."""
    running: dict[str, object] = {"status": "running", "input": {"command": "make"}, "time": {"start": 1}}
    ended = {**running, "status": "completed", "output": output, "metadata": {"exit": 0}}
    return event(number, running), event(number, ended)


def event(number: int, state: dict[str, object]) -> bytes:
    """An event of a tool call, as OpenCode sends it."""
    part = {"id": f"prt_{number}", "messageID": "msg_1", "type": "tool", "tool": "bash", "state": state}
    properties = {"sessionID": SESSION, "part": {**part, "callID": str(number)}}
    content = {"directory": "/app", "payload": {"type": "message.part.updated", "properties": properties}}
    return b"data: %b\n\n" % json.dumps(content, separators=(",", ":")).encode()


CONNECTED = b'data: {"payload":{"type":"server.connected","properties":{}}}\n\n'


class Handler(BaseHTTPRequestHandler):
    """The answers of all daemons."""

    pace: int
    calls: int
    output: str
    begin = threading.Event()
    protocol_version = "HTTP/1.1"

    def do_GET(self) -> None:
        is_stream = self.path.endswith("/global/event")
        is_health = self.path.endswith("/global/health")
        body = json.dumps({"healthy": True, "version": VERSION} if is_health else []).encode()
        self.send_response(200)
        self.send_header("Content-Type", "text/event-stream" if is_stream else "application/json")
        self.send_header(
            *(("Transfer-Encoding", "chunked") if is_stream else ("Content-Length", str(len(body))))
        )
        self.end_headers()
        with suppress(OSError):
            if is_stream:
                self.send_calls()
            else:
                self.wfile.write(body)

    def send_calls(self) -> None:
        self.send(CONNECTED)
        print("a stream", flush=True)  # noqa: T201
        self.begin.wait()
        began = time.monotonic()
        every = (each for call in range(self.calls) for each in tool_call(call, self.output))
        for number, data in enumerate(every):
            time.sleep(max(0.0, began + number / self.pace - time.monotonic()))
            self.send(data)
        while True:
            time.sleep(10)
            self.send(b": nothing more\n\n")

    def send(self, data: bytes) -> None:
        """Send a chunk."""
        self.wfile.write(b"%x\r\n%b\r\n" % (len(data), data))

    def log_message(self, *_: object) -> None:
        """Print nothing."""


@dataclass(frozen=True, slots=True)
class Reading:
    """A command that prints events."""

    pid: int
    stdout: IO[bytes]


@dataclass(frozen=True, slots=True)
class BusyDaemons:
    """The daemons, saved as connections `busy-0`, `busy-1` and so on of a user."""

    url: str
    names: list[str]
    variables: dict[str, str]
    """Of the user's shell."""

    stdin: IO[str]
    stdout: IO[str]

    def await_links(self) -> None:
        """Wait until a link listens to each daemon."""
        for _ in self.names:
            self.stdout.readline()

    def begin(self) -> None:
        """Let all daemons send."""
        self.stdin.write("\n")
        self.stdin.flush()

    @contextmanager
    def read(self, *arguments: str) -> Iterator["Reading"]:
        """A running `ocattach events`, which ends with the block."""
        argv = [sys.executable, "-m", "ocattach", "events", *arguments]
        with subprocess.Popen(argv, stdout=subprocess.PIPE, env=self.variables, cwd="/") as process:
            if process.stdout is None:
                raise TypeError(process)
            try:
                yield Reading(process.pid, process.stdout)
            finally:
                process.terminate()

    def links(self) -> list[psutil.Process]:
        """The link processes of the user."""
        own, found = self.variables["OCATTACH_RUNTIME_DIR"], []
        for pid, argv in command_lines():
            with suppress(psutil.Error):
                process = psutil.Process(pid)
                if "ocattach.link" in argv and process.environ().get("OCATTACH_RUNTIME_DIR") == own:
                    found.append(process)
        return found


@contextmanager
def busy_daemons(count: int, *, pace: int, calls: int, length: int = 2000) -> Iterator[BusyDaemons]:
    """So many daemons, each of which sends `pace` events a second until `calls` tool calls are over.

    Their outputs have `length` characters.
    """
    argv = [sys.executable, "-m", "tests.rigs.busy_daemon", str(pace), str(calls), str(length)]
    with (
        short_directory() as home,
        subprocess.Popen(
            argv, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, cwd=CHECKOUT
        ) as process,
    ):
        if process.stdin is None or process.stdout is None:
            raise TypeError(process)
        variables = {**os.environ, "HOME": str(home), "PYTHONPATH": str(CHECKOUT)}
        for name in ("CONFIG", "STATE", "RUNTIME"):
            variables[f"OCATTACH_{name}_DIR"] = str(home / name.lower())
        saved = home / "config" / "connections"
        saved.mkdir(parents=True)
        url, names = process.stdout.readline().strip(), [f"busy-{number}" for number in range(count)]
        for name in names:
            entry = {"transport": "http", "url": f"{url}/{name}"}
            (saved / f"{name}.yaml").write_text(json.dumps(entry))  # JSON is YAML
        daemons = BusyDaemons(url, names, variables, process.stdin, process.stdout)
        try:
            yield daemons
        finally:
            for link in daemons.links():
                link.terminate()
            process.kill()


def main(pace: int, calls: int, length: int) -> None:
    """Serve until the process is killed."""
    Handler.pace, Handler.calls, Handler.output = pace, calls, "x" * length
    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        server.daemon_threads = True
        threading.Thread(target=server.serve_forever, daemon=True).start()
        print(f"http://127.0.0.1:{server.server_port}", flush=True)  # noqa: T201
        if sys.stdin.readline():
            Handler.begin.set()
        while True:
            time.sleep(60)


if __name__ == "__main__":
    main(*map(int, sys.argv[1:]))
