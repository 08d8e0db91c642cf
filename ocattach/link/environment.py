"""One environment, as its link holds it: handler, daemon and tunnel, brought up once and used by many."""

import logging
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, Protocol

from ocattach.config.spec import ConnectionSpec
from ocattach.daemon.probe import FoundDaemon
from ocattach.errors import (
    ConnectionLostError,
    DaemonNotRunningError,
    DaemonStartError,
    TimedOutError,
    UnreachableError,
)
from ocattach.opencode.api import DaemonClient
from ocattach.transports import open_handler
from ocattach.transports.base import Question, TransportHandler
from ocattach.transports.command import import_tunnel

if TYPE_CHECKING:
    from ocattach.tunnel.tunnel import Tunnel

logger = logging.getLogger(__name__)

Attached = dict[str, Any]

REUSE_SECONDS = 10.0
"""How long a daemon that was there may take to answer before everything is looked at anew, at its clients' cost."""


class Client(Protocol):
    """A foreground that waits for the environment."""

    def ask(self, question: Question, /) -> str:
        """Let the person there answer."""

    def step(self, text: str) -> None:
        """Tell it about a step that was taken."""


class Environment:
    """Brought up on the first `attach`; the next ones find it as it is, and dial nothing."""

    def __init__(self) -> None:
        self._turn = threading.Lock()
        self._handler: TransportHandler | None = None
        self._tunnel: Tunnel | None = None
        self._daemon: FoundDaemon | None = None
        self._version = ""
        self._directories: dict[str | None, str | None] = {}
        """The working directories that were seen to be ready, and their absolute paths there."""

    @property
    def idle_seconds(self) -> float | None:
        """How long no client has been connected; None while the environment is not up."""
        tunnel = self._tunnel
        return None if tunnel is None else tunnel.idle_seconds

    @contextmanager
    def turn(self, timeout: float) -> Iterator[float]:
        """One client at a time; what is left of its time, in seconds."""
        started = time.monotonic()
        if not self._turn.acquire(timeout=timeout):
            raise TimedOutError(f"Another ocattach has been connecting for {timeout:.0f} s")
        try:
            yield max(1.0, timeout - (time.monotonic() - started))
        finally:
            self._turn.release()

    def attach(self, spec: ConnectionSpec, client: Client, *, start: bool, timeout: float) -> Attached:
        """A ready daemon for the connection, started when there is none and `start` allows it."""
        with self.turn(timeout) as left:
            if self._tunnel is not None:
                attached = self.reuse(spec, client, left)
                if attached is not None:
                    return attached
                client.step("The connection was lost; connecting again")
                self.drop()
            return self.bring_up(spec, client, start=start, timeout=left)

    def reuse(self, spec: ConnectionSpec, client: Client, timeout: float) -> Attached | None:
        """The environment as it stands; None when it no longer answers."""
        handler, tunnel, daemon = self._handler, self._tunnel, self._daemon
        if handler is None or tunnel is None or daemon is None or tunnel.lost:
            return None
        try:
            if spec.workdir not in self._directories:
                handler.spec, handler.ask, handler.timeout = spec, client.ask, timeout
                handler.check_daemon_running()
            self.make_ready(handler, spec, timeout=min(timeout, REUSE_SECONDS))
        except (ConnectionLostError, TimedOutError, UnreachableError) as error:
            logger.info("the link's daemon no longer answers: %s", error)
            return None
        client.step(f"Daemon already running on port {daemon.port} ({self._version})")
        client.step(connected(tunnel))
        return self.attached(spec, started=False)

    def bring_up(self, spec: ConnectionSpec, client: Client, *, start: bool, timeout: float) -> Attached:
        """The whole way: environment, daemon, tunnel, readiness."""
        handler = open_handler(spec, ask=client.ask, timeout=timeout)
        self._handler = handler
        import_tunnel()
        try:
            client.step(handler.check_available().summary)
            daemon, started = self.find_or_start(handler, client, start=start)
            self._daemon = daemon
            self._tunnel = handler.connect(daemon.port)
            self.make_ready(handler, spec, timeout=timeout)
        except BaseException:
            self.drop()
            raise
        if not started:
            client.step(f"Daemon already running on port {daemon.port} ({self._version})")
        client.step(connected(self._tunnel))
        logger.info("connected through %s to port %s", self._tunnel.route_name, daemon.port)
        return self.attached(spec, started=started)

    def find_or_start(
        self, handler: TransportHandler, client: Client, *, start: bool
    ) -> tuple[FoundDaemon, bool]:
        """The daemon that runs, else a new one; and whether this call started it."""
        status = handler.check_daemon_running()
        if status.daemon is not None:
            return status.daemon, False
        if not start:
            raise DaemonNotRunningError(
                f"No daemon runs in {handler.spec.display()}", hint="Without --no-start one would be started"
            )
        status = handler.start_daemon()
        if status.daemon is None:
            raise DaemonStartError(f"No daemon came up in {handler.spec.display()}")
        if status.started:
            client.step(f"Started daemon on port {status.port}")
        return status.daemon, status.started

    def make_ready(self, handler: TransportHandler, spec: ConnectionSpec, *, timeout: float) -> None:
        """See that the daemon answers for the connection's directory."""
        daemon, tunnel = self._daemon, self._tunnel
        if daemon is None or tunnel is None:
            raise ConnectionLostError("There is no connection to the daemon")
        client = DaemonClient(tunnel.url, username=daemon.username, password=daemon.password)
        if spec.workdir in self._directories:
            self._version = client.await_version(timeout=timeout)
            return
        directory = handler.workdir
        self._version = client.await_ready(directory, timeout=timeout)
        self._directories[spec.workdir] = directory

    def attached(self, spec: ConnectionSpec, *, started: bool) -> Attached:
        """What the foreground needs to use the daemon."""
        daemon, tunnel, handler = self._daemon, self._tunnel, self._handler
        if daemon is None or tunnel is None or handler is None:
            raise ConnectionLostError("There is no connection to the daemon")
        return {
            "url": tunnel.url,
            "username": daemon.username,
            "password": daemon.password,
            "workdir": self._directories.get(spec.workdir),
            "version": self._version,
            "route": tunnel.route_name,
            "port": daemon.port,
            "pid": daemon.pid or None,
            "started": started,
            "shares_files": handler.shares_files,
        }

    def stop_daemon(self, spec: ConnectionSpec, client: Client, *, force: bool, timeout: float) -> int | None:
        """End the environment's daemon; its pid, None when none ran."""
        with self.turn(timeout) as left:
            if self._handler is None:
                self._handler = open_handler(spec, ask=client.ask, timeout=left)
            self._handler.ask = client.ask
            self._handler.check_available()
            return self._handler.stop_daemon(force=force)

    def drop(self) -> None:
        """Let go of tunnel and handler; the daemon goes on."""
        handler, self._handler = self._handler, None
        self._tunnel = self._daemon = None
        self._directories.clear()
        if handler is not None:
            handler.disconnect()

    def close(self) -> None:
        """End it all, also while a client is being served."""
        self.drop()


def connected(tunnel: "Tunnel") -> str:
    """Which way was taken, as a progress line."""
    return "Connected directly" if tunnel.route_name == "direct" else f"Connected through {tunnel.route_name}"
