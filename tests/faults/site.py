"""Where faults are induced: an environment, a laptop with a link to it, and the engine that carries the link."""

import socket
from collections.abc import Mapping
from contextlib import ExitStack, suppress
from pathlib import Path
from typing import Any

import psutil

from ocattach.opencode.endpoint import basic_authorization
from tests.environments import Environment
from tests.faults.clients import Way
from tests.faults.truth import settled_texts
from tests.main_job.laptop import Daemon, Laptop
from tests.rigs.namespaces import Network
from tests.rigs.processes import LISTEN
from tests.rigs.waiting import wait_until

NAME = "frontend"
DAEMON_SECONDS = 30


class Site:
    """An environment in front of which a link is up."""

    connections_are_tcp = False
    """Whether the link's way to the environment is made of TCP connections."""

    def __init__(self, name: str, environment: Environment, engine: Any, stack: ExitStack) -> None:
        """Take an environment over; what is opened later is closed with the stack."""
        self.name = name
        self.environment = environment
        self.engine = engine
        self.stack = stack
        self.laptop = Laptop(environment)
        temporary = environment.laptop / "tmp"
        temporary.mkdir(exist_ok=True)
        self.laptop.variables["TMPDIR"] = str(temporary)
        self.laptop.save(NAME)
        self._daemon: Daemon | None = None

    @property
    def document(self) -> Mapping[str, Any]:
        """What `ocattach` last printed of the daemon."""
        assert self._daemon is not None, "not connected"
        return self._daemon.document

    @property
    def daemon(self) -> Daemon:
        """The daemon through the link."""
        assert self._daemon is not None, "not connected"
        return self._daemon

    def connect(self) -> None:
        """Have a link: `ocattach NAME --print-url`."""
        self._daemon = self.laptop.connect(NAME)

    def disconnect(self) -> None:
        """End the link: `ocattach --disconnect NAME`."""
        ran = self.laptop.run("--disconnect", NAME)
        if ran.exit_code:
            raise RuntimeError(f"--disconnect gave {ran.exit_code}: {ran.stderr}")

    @property
    def link(self) -> psutil.Process:
        """The process of the link, once it is the only one: two commands may start one at a time."""
        return wait_until(lambda: found[0] if len(found := self.laptop.links()) == 1 else None, "one link")

    @property
    def network(self) -> Network:
        """Where the daemon listens, as of now."""
        return self.environment.network

    def processes(self) -> list[psutil.Process]:
        """What runs in the environment and did not from its beginning, as of now."""
        return self.environment.processes()

    def daemons(self) -> list[psutil.Process]:
        """The daemons that run there."""
        return [process for process in self.processes() if "serve" in command_line(process)]

    def relays(self) -> list[psutil.Process]:
        """What runs there for a link: all that is neither a daemon nor a daemon's child."""
        of_daemons = {child.pid for daemon in self.daemons() for child in children(daemon)}
        return [
            process
            for process in self.processes()
            if (argv := command_line(process)) and "serve" not in argv and process.pid not in of_daemons
        ]

    def sessions(self) -> list[psutil.Process]:
        """Of an sshd's: what it has for each client that is logged in."""
        return []

    def exec_sessions(self) -> list[str]:
        """Those that an engine says are there."""
        return []

    @property
    def home(self) -> Path:
        """Of the account in the environment, as of now."""
        return self.environment.home

    def restored(self) -> None:
        """Make good what a new beginning of the environment has taken from the tests' own part of it."""

    def through_the_link(self) -> Way:
        """The way that every client goes."""

        def dial(seconds: float) -> socket.socket:
            port = int(self.document["url"].rpartition(":")[2])
            return socket.create_connection(("127.0.0.1", port), seconds)

        return Way(dial, self.authorization)

    def past_the_link(self) -> Way:
        """Straight to the daemon, wherever it listens now."""

        found: list[tuple[Network, int, str]] = []  # looking for it takes long

        def find() -> tuple[Network, int, str]:
            if not found:
                found.append((self.network, self.daemon_port(), self.daemon_authorization()))
            return found[0]

        def dial(seconds: float) -> socket.socket:
            network, port, _ = find()
            try:
                connection = network.dial(port, timeout=5)
            except OSError:
                found.clear()
                raise
            connection.settimeout(seconds)
            return connection

        return Way(dial, lambda: find()[2])

    def authorization(self) -> str:
        """The header's value for the link."""
        return basic_authorization(self.document["username"], self.document["password"])

    def daemon_authorization(self) -> str:
        """The header's value for the daemon itself, whose password the link keeps to itself."""
        passwords = {process.environ()["OPENCODE_SERVER_PASSWORD"] for process in self.daemons()}
        if len(passwords) != 1:
            raise ConnectionRefusedError(f"{len(passwords)} daemons run")
        return basic_authorization("opencode", passwords.pop())

    def daemon_port(self) -> int:
        """The port of the daemon that runs, from the kernel. Raises ConnectionRefusedError where none listens."""
        ports = {port for process in self.daemons() for port in listening_ports(process)}
        if len(ports) != 1:
            raise ConnectionRefusedError(f"daemons listen on {sorted(ports) or 'no port'}")
        return ports.pop()

    def has_daemon(self) -> bool:
        """Whether a daemon answers, past the link."""
        try:
            return self.past_the_link().request("GET", "/global/health", seconds=1)[0] == 200
        except OSError:
            return False

    def await_daemon(self) -> None:
        """Have a daemon: one that nobody has started by now is started by the next `ocattach`."""
        try:
            wait_until(self.has_daemon, "a daemon", timeout=DAEMON_SECONDS, interval=0.1)
        except TimeoutError:
            self.connect()
            wait_until(self.has_daemon, "a daemon", timeout=DAEMON_SECONDS, interval=0.1)

    settled_texts = staticmethod(settled_texts)


def command_line(process: psutil.Process) -> list[str]:
    """The arguments of a process; none where it has ended."""
    try:
        return process.cmdline()
    except psutil.Error:
        return []


def listening_ports(process: psutil.Process) -> set[int]:
    """Where a process listens, in whatever network it is."""
    place = Path(f"/proc/{process.pid}")
    targets: set[str] = set()
    try:
        for entry in (place / "fd").iterdir():
            with suppress(FileNotFoundError):  # closed meanwhile
                targets.add(str(entry.readlink()))
        tables = "".join((place / "net" / table).read_text() for table in ("tcp", "tcp6"))
    except OSError:  # it has ended
        return set()
    inodes = {target[len("socket:[") : -1] for target in targets if target.startswith("socket:[")}
    rows = map(str.split, tables.splitlines())
    return {int(row[1].rpartition(":")[2], 16) for row in rows if row[3] == LISTEN and row[9] in inodes}


def children(process: psutil.Process) -> list[psutil.Process]:
    """All that a process has started and what that has started."""
    try:
        return process.children(recursive=True)
    except psutil.Error:
        return []
