"""A user's laptop: `ocattach` run as a program, and the daemon spoken to through what it prints."""

import base64
import contextlib
import http.client
import json
import ssl
import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import quote, urlsplit

import psutil

from tests.environments import Environment
from tests.rigs.processes import command_lines
from tests.rigs.typist import Typist
from tests.rigs.waiting import wait_until

OCATTACH = [sys.executable, "-m", "ocattach"]
SECONDS = 60


@dataclass(frozen=True, slots=True)
class Ran:
    """An `ocattach` that ended."""

    exit_code: int
    stdout: str
    stderr: str

    @property
    def document(self) -> dict[str, Any]:
        """The one JSON document it printed."""
        document: dict[str, Any] = json.loads(self.stdout)
        return document


class Laptop:
    """The user's side of an environment, whose links end with the test."""

    def __init__(self, environment: Environment, home: Path | None = None) -> None:
        """With a home of its own, it is one of several that the same person has."""
        self.environment = environment
        self.variables = dict(environment.variables)
        self.cwd = environment.laptop
        if home:
            places = {"CONFIG": "config", "STATE": "state", "RUNTIME": "run"}
            self.variables |= {f"OCATTACH_{name}_DIR": str(home / folder) for name, folder in places.items()}
        self.config = Path(self.variables["OCATTACH_CONFIG_DIR"])
        self.state = Path(self.variables["OCATTACH_STATE_DIR"])
        self.runtime = Path(self.variables["OCATTACH_RUNTIME_DIR"])

    def run(
        self, *arguments: str, timeout: float = SECONDS, variables: Mapping[str, str] | None = None
    ) -> Ran:
        """Run ocattach to its end; variables are put over the laptop's.

        Without a terminal, unless the environment has questions for its user.
        """
        if self.environment.answers:
            return self._run_at_terminal(*arguments, timeout=timeout, variables=variables or {})
        with self.start(*arguments, variables=variables) as process:
            try:
                stdout, stderr = process.communicate(timeout=timeout)
            except subprocess.TimeoutExpired:
                process.kill()
                raise
        return Ran(process.returncode, stdout, stderr)

    def _run_at_terminal(self, *arguments: str, timeout: float, variables: Mapping[str, str]) -> Ran:
        with Typist(self.environment.answers) as typist:
            # In a session of its own it has no other terminal, above all not that of who runs the tests.
            done = subprocess.run(
                [*OCATTACH, *arguments],
                env={**self.variables, "NO_COLOR": "1", **variables},
                cwd=self.cwd,
                stdin=typist.terminal,
                stdout=subprocess.PIPE,
                stderr=typist.terminal,
                text=True,
                timeout=timeout,
                start_new_session=True,
                check=False,
            )
        return Ran(done.returncode, done.stdout, typist.text)

    def start(self, *arguments: str, variables: Mapping[str, str] | None = None) -> subprocess.Popen[str]:
        """Start ocattach without a terminal."""
        return subprocess.Popen(
            [*OCATTACH, *arguments],
            env={**self.variables, **(variables or {})},
            cwd=self.cwd,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )

    def inside(self) -> list[str]:
        """Before a command, it makes it one of this laptop's."""
        return []

    def save(self, name: str = "frontend", **changes: Any) -> None:
        """Save the environment as a connection, in the file a user may write too."""
        folder = self.config / "connections"
        folder.mkdir(parents=True, exist_ok=True)
        entry = {**self.environment.entry, "workdir": self.environment.workdir, **changes}
        (folder / f"{name}.yaml").write_text(json.dumps(entry))

    def connect(
        self, name: str = "frontend", *options: str, variables: Mapping[str, str] | None = None
    ) -> "Daemon":
        """The daemon behind `ocattach NAME --print-url -o json`."""
        ran = self.run(name, "--print-url", "-o", "json", *options, variables=variables)
        assert ran.exit_code == 0, ran.stderr + ran.stdout
        return Daemon(ran.document)

    def links(self) -> list[psutil.Process]:
        """The link processes of this laptop, without what one of them has just forked to run a program."""
        own = self.variables["OCATTACH_RUNTIME_DIR"]
        found = []
        for pid, argv in command_lines():
            with contextlib.suppress(psutil.Error):
                if "ocattach.link" in argv:
                    process = psutil.Process(pid)
                    found += [process] if process.environ().get("OCATTACH_RUNTIME_DIR") == own else []
        pids = {process.pid for process in found}
        return [process for process in found if parent_of(process) not in pids]

    def end_links(self) -> None:
        """End what the test has left."""
        for process in self.links():
            with contextlib.suppress(psutil.NoSuchProcess):  # it may just be ending
                process.terminate()
        wait_until(lambda: not self.links(), "the links to end")


def parent_of(process: psutil.Process) -> int | None:
    """The parent of a process; None if it has ended."""
    with contextlib.suppress(psutil.Error):
        return process.ppid()
    return None


class Daemon:
    """An OpenCode daemon, reached as an SDK or curl would reach it."""

    def __init__(self, document: Mapping[str, Any]) -> None:
        self.document = document
        credentials = base64.b64encode(f"{document['username']}:{document['password']}".encode()).decode()
        self._authorization = {"Authorization": f"Basic {credentials}"}

    def request(
        self, method: str, path: str, body: Any = None, *, authorized: bool = True
    ) -> tuple[int, Any]:
        """One request: status, and the answer where it is JSON."""
        with self.stream(method, path, body, authorized=authorized) as response:
            content = response.read()
            is_json = "json" in response.headers.get_content_type()
            return response.status, json.loads(content) if is_json and content else None

    @contextmanager
    def stream(
        self, method: str, path: str, body: Any = None, *, authorized: bool = True
    ) -> Iterator[http.client.HTTPResponse]:
        """A response that may go on for ever."""
        parts = urlsplit(self.document["url"])
        assert parts.hostname
        if parts.scheme == "https":
            context = ssl.create_default_context(cafile=self.document["ca_file"])
            connection: http.client.HTTPConnection = http.client.HTTPSConnection(
                parts.hostname, parts.port, timeout=SECONDS, context=context
            )
        else:
            connection = http.client.HTTPConnection(parts.hostname, parts.port, timeout=SECONDS)
        headers = {"Content-Type": "application/json", **(self._authorization if authorized else {})}
        connection.request(method, parts.path + path, None if body is None else json.dumps(body), headers)
        try:
            with connection.getresponse() as response:
                yield response
        finally:
            connection.close()

    def make_session(self) -> str:
        """A new session in the connection's working directory; its id."""
        where = quote(self.document["workdir"], safe="")
        status, session = self.request("POST", f"/session?directory={where}", {"title": "made by a test"})
        assert status == http.client.OK
        assert session["directory"] == self.document["workdir"]
        return str(session["id"])

    def prompt(self, session: str, text: str) -> list[dict[str, Any]]:
        """Prompt and wait; every part of the session's messages."""
        body = {"parts": [{"type": "text", "text": text}]}
        status, _ = self.request("POST", f"/session/{session}/message", body)
        assert status == http.client.OK
        _, messages = self.request("GET", f"/session/{session}/message")
        return [part for message in messages for part in message["parts"]]
