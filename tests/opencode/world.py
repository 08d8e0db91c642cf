"""A session that a TUI on a tunnel shows, while others work in it."""

import json
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any, Self

from ocattach.link.server.greeting import pending_events
from ocattach.opencode.api import DaemonClient
from ocattach.opencode.endpoint import basic_authorization
from ocattach.opencode.recovery import Recovery
from ocattach.opencode.tui.resumer import Greeting, Resync
from ocattach.tunnel.direct import DirectRoute
from ocattach.tunnel.gate import Gate
from ocattach.tunnel.tunnel import Tunnel
from tests.rigs.directories import short_directory
from tests.rigs.http_daemon import HandStartedDaemon
from tests.rigs.local import LocalMachine
from tests.rigs.opencode import CONFIG_PATH, opencode_bin, opencode_config
from tests.rigs.terminal import Terminal
from tests.rigs.waiting import wait_until

TUI_SECONDS = 60
ASK_FIRST = "echo ask-first"
"""A command for which the daemon wants permission."""


PASSWORD = "the tunnel's own"


class World:
    """A daemon, a session in it for each test, and TUIs that show it."""

    def __init__(self, machine: LocalMachine, opened: ExitStack) -> None:
        self.machine = machine
        self._opened = opened
        self._lines = ExitStack()
        config = json.loads(opencode_config(machine.model.port))
        config["permission"] = {"bash": {"*": "allow", f"{ASK_FIRST}*": "ask"}}
        (machine.home / CONFIG_PATH).write_text(json.dumps(config))
        self.daemon = opened.enter_context(HandStartedDaemon(machine))
        self.session = ""

    @contextmanager
    def with_session(self) -> Iterator[Self]:
        """It, with a new session that is the one meant below, and no TUI yet."""
        with ExitStack() as self._lines:
            self.session = self.create("Before the gap")
            self.say("said before the gap")
            yield self

    def request(self, method: str, path: str, body: Any = None) -> Any:
        """A request to the daemon, past every tunnel."""
        client = DaemonClient(self.daemon.url, password=self.daemon.password, timeout=60)
        return client.request(method, path, body).json()

    def create(self, title: str) -> str:
        """A new session."""
        session: str = self.request("POST", "/session", {"title": title})["id"]
        return session

    def say(self, text: str) -> None:
        """A prompt, to its answer's end."""
        self.request("POST", f"/session/{self.session}/message", prompt(text))

    def begin(self, text: str) -> None:
        """A prompt whose answer is not waited for."""
        self.request("POST", f"/session/{self.session}/prompt_async", prompt(text))

    def asked(self, kind: str) -> dict[str, Any]:
        """The permission or question that is asked for, once there is one."""

        def first() -> dict[str, Any] | None:
            found: list[dict[str, Any]] = self.request("GET", f"/{kind}")
            return next((each for each in found if each["sessionID"] == self.session), None)

        return wait_until(first, f"a {kind} to be asked for")

    def await_idle(self) -> None:
        """Wait until nothing is at work in the session."""
        wait_until(
            lambda: self.session not in self.request("GET", "/session/status"), "the session to be idle"
        )

    def start_again(self) -> None:
        """Kill the daemon, and have another in its place."""
        self.daemon.kill()
        self.daemon = self._opened.enter_context(HandStartedDaemon(self.machine))

    def tunnel(
        self,
        connect: Callable[[], DaemonClient] | None = None,
        on_greeting: Callable[[], object] = lambda: None,
    ) -> "Line":
        """A way to the daemon for one TUI; `on_greeting` is called once a first greeting was read from the daemon."""
        return Line(self, self._lines, connect, on_greeting)


class Line:
    """A tunnel that can be cut, with a TUI on it."""

    def __init__(
        self,
        world: World,
        opened: ExitStack,
        connect: Callable[[], DaemonClient] | None,
        on_greeting: Callable[[], object],
    ) -> None:
        self._world, self._on_greeting = world, on_greeting
        resumer = Resync(connect or self._client, name=lambda: "frontend", greeting=self._greeting)
        route = DirectRoute("127.0.0.1")
        self._gate = Gate(basic_authorization("opencode", PASSWORD))
        self._let_in()
        recovery = Recovery(
            lambda: DaemonClient(world.daemon.url, password=world.daemon.password, timeout=60)
        )
        tunnel = Tunnel(route, world.daemon.port, resumer=resumer, gate=self._gate, recovery=recovery)
        self._tunnel = opened.enter_context(tunnel)
        directory = opened.enter_context(short_directory())
        self.tui = opened.enter_context(self._start(directory))
        self.tui.wait_for("You said: said before the gap", timeout=TUI_SECONDS)

    @contextmanager
    def gap(self) -> Iterator[None]:
        """The time during which the tunnel leads nowhere."""
        self._tunnel.give_up("It was cut.")
        wait_until(lambda: self._tunnel.lost, "the tunnel to lead nowhere")
        yield
        self._let_in()
        self._tunnel.switch_route(DirectRoute("127.0.0.1"), self._world.daemon.port)

    def _let_in(self) -> None:
        self._gate.authorization = basic_authorization("opencode", self._world.daemon.password)

    def _greeting(self) -> Greeting:
        found = pending_events(self._client(), None)
        if found:
            self._on_greeting()
        return Greeting("Connected to frontend", {identifier: asked for _, identifier, asked in found})

    def _client(self) -> DaemonClient:
        return DaemonClient(self._tunnel.url, password=PASSWORD, timeout=60)

    def _start(self, directory: Path) -> Terminal:
        machine = self._world.machine
        return Terminal(
            [opencode_bin(), "attach", self._tunnel.url, "-s", self._world.session],
            directory=directory,
            environment={**machine.environment, "OPENCODE_SERVER_PASSWORD": PASSWORD},
            cwd=machine.home,
            width=160,
        )


def prompt(text: str) -> dict[str, Any]:
    """What a prompt with this text is to the API."""
    return {"parts": [{"type": "text", "text": text}]}
