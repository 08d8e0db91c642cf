"""A daemon that is busy all the time: `python -m benchmarks.events_end PACE` serves tool calls at a fixed pace.

A program of its own, so that it shares no interpreter with what is measured.
"""

import itertools
import json
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from ocattach.config.spec import ConnectionSpec
from ocattach.link.sessions.listener import SessionEventListener
from ocattach.opencode.api import DaemonClient
from tests.hostile.test_odd_events import with_events
from tests.rigs.http_servers import Server, serve
from tests.rigs.odd_daemon import VERSION
from tests.rigs.opencode import CHECKOUT

OUTPUT = "x" * 2000


def tool_call(number: int) -> bytes:
    """The event of a tool call that has ended."""
    state = {"status": "completed", "input": {"command": "make"}, "output": OUTPUT, "metadata": {"exit": 0}}
    part = {"id": f"prt_{number}", "messageID": "msg_1", "type": "tool", "tool": "bash", "state": state}
    payload = {
        "type": "message.part.updated",
        "properties": {"sessionID": "ses_1", "part": {**part, "callID": "c"}},
    }
    content = {"directory": "/app", "payload": payload}
    return b"data: %b\n\n" % json.dumps(content, separators=(",", ":")).encode()


def serve_events(pace: int) -> None:
    """Serve until the end of the input."""

    def events(server: Server) -> Iterator[bytes]:
        began = time.monotonic()
        for number in itertools.count():
            time.sleep(max(0.0, began + number / pace - time.monotonic()))
            yield tool_call(number)
            if server.gone.is_set():
                return

    with serve(with_events(events)) as server:
        print(server.url, flush=True)
        sys.stdin.read()
        server.gone.set()


@contextmanager
def busy_daemon(pace: int) -> Iterator[str]:
    """The URL of such a daemon, in a process of its own."""
    argv = [sys.executable, "-m", "benchmarks.events_end", str(pace)]
    with subprocess.Popen(
        argv, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, cwd=CHECKOUT
    ) as process:
        if process.stdout is None:
            raise TypeError(process)
        yield process.stdout.readline().strip()
        process.communicate()


class Access:
    """The connection of a link to a daemon at a URL."""

    def __init__(self, url: str) -> None:
        self._url = url

    def is_up(self) -> bool:
        """Return whether the connection is established."""
        return True

    def open_client(self, timeout: float, *, counts_as_loss: bool) -> DaemonClient:  # noqa: ARG002
        """Return a client of the daemon."""
        return DaemonClient(self._url, timeout=timeout)


class NoIndex:
    """In the place of the index: nothing is measured of it here."""

    def put(self, *_: object, **__: object) -> None:
        """Store nothing."""

    def forget(self, *_: object) -> None:
        """Remove nothing."""

    def close(self) -> None:
        """Close nothing."""


@contextmanager
def listening(url: str) -> Iterator[Callable[[], int]]:
    """The listener of a link; the function tells how many calls of tools it has reported as ended."""
    listener = SessionEventListener(Access(url), NoIndex)
    listener.add_connection(ConnectionSpec.from_entry({"transport": "local"}), None)
    listener.resume(VERSION)
    yield lambda: listener.feed.log.end // 2
    listener.end()


if __name__ == "__main__":
    serve_events(int(sys.argv[1]))
