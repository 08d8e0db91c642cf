"""A daemon that somebody started by hand: `opencode serve`, with a password."""

import base64
import http.client
import os
import secrets
import signal
import socket
import subprocess
from typing import Self

import psutil

from tests.rigs.local import LocalMachine
from tests.rigs.opencode import opencode_bin
from tests.rigs.waiting import wait_until

PASSWORD = f"an old password, {secrets.token_hex(8)}"


class HandStartedDaemon:
    """A real `opencode serve` in a home of its own."""

    def __init__(self, machine: LocalMachine, *, password: str = PASSWORD) -> None:
        self.password = password
        self.port = free_port()
        variables = {**machine.environment, "OPENCODE_SERVER_PASSWORD": password}
        self._process = subprocess.Popen(
            [opencode_bin(), "serve", "--hostname", "127.0.0.1", "--port", str(self.port)],
            cwd=machine.home,
            env=variables,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            start_new_session=True,
        )
        wait_until(self._answers, "the daemon to answer", timeout=30)

    @property
    def url(self) -> str:
        """Where it is."""
        return f"http://127.0.0.1:{self.port}"

    @property
    def process(self) -> psutil.Process:
        """The daemon itself."""
        return psutil.Process(self._process.pid)

    def kill(self) -> None:
        """End it, and wait for that. Killing twice is harmless."""
        if self._process.poll() is None:
            os.killpg(self._process.pid, signal.SIGKILL)
            self._process.wait()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.kill()

    def _answers(self) -> bool:
        credentials = base64.b64encode(f"opencode:{self.password}".encode()).decode()
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=1)
        try:
            connection.request("GET", "/global/health", headers={"Authorization": f"Basic {credentials}"})
            return connection.getresponse().status == http.client.OK
        except OSError:
            return False
        finally:
            connection.close()


def free_port() -> int:
    """A port that nothing listens on."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port: int = listener.getsockname()[1]
        return port
