"""One environment, as its link holds it: transport, daemon and tunnel."""

import threading
import time
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from ocattach.backoff import Deadline
from ocattach.config.spec import ConnectionSpec
from ocattach.errors import (
    AuthenticationError,
    ConnectionLostError,
    OcattachError,
    TimedOutError,
    UnreachableError,
)
from ocattach.link.messages import no_password
from ocattach.link.server.answers import Answers, connected
from ocattach.link.server.connection import DaemonConnection
from ocattach.link.server.daemon_starter import AttachClient, CrashLoopGuard, command_name
from ocattach.link.server.deadline_lock import taken
from ocattach.link.server.forwards import Forwards
from ocattach.link.server.greeting import greeting
from ocattach.link.server.history import History
from ocattach.link.server.log import logged_error
from ocattach.link.server.port import LocalAccess, open_port
from ocattach.link.server.reconnector import QUIET_SECONDS, Reconnector, Unattended
from ocattach.link.server.state import LinkState, StateMachine
from ocattach.link.server.variables import adopt
from ocattach.link.sessions.feed import Subscriber
from ocattach.link.sessions.listener import SessionEventListener
from ocattach.printable import command_line
from ocattach.transports import open_handler
from ocattach.tunnel.limits import Events, Limits

if TYPE_CHECKING:
    from ocattach.tunnel.tunnel import Tunnel

DIAL_SECONDS = 15.0
"""How long one try to reach a lost environment may take."""

START_SECONDS = 60.0
"""How long the rest of such a try may take, including the start of a daemon on a busy machine."""

ENOUGH = 0.75
"""The share of the timeout that must be left for a second try to connect."""

REUSE_SECONDS = 10.0
"""How long a known daemon may take to answer before the link connects again."""


class Environment:
    """Connects on the first `attach`, and reuses the connection for the next ones.

    The local port stays open from then on. A lost connection is restored by the same steps.
    """

    def __init__(self, access: LocalAccess, limits: Limits, subscribers: Sequence[Subscriber] = ()) -> None:
        self.history = History()
        self._access, self._limits = access, limits
        self._lock = threading.Lock()
        self._spec: ConnectionSpec | None = None
        self._may_start = False
        self._state = StateMachine(self.history)
        self._connection = DaemonConnection(self._state)
        self._summary = ""
        self._crash_guard = CrashLoopGuard()
        self._closed = False
        self._reconnector = Reconnector(
            self.restore, state=self._state, is_wanted=self.is_wanted, give_up=self.give_up
        )
        self._listener = SessionEventListener(self._connection, subscribers=subscribers)
        self.events = self._listener.feed.log
        self.forwards = Forwards(self._connection, self._lock, limits)
        self.answers = Answers(self._connection, self._state, self._listener, access, self.history)

    @property
    def idle_seconds(self) -> float | None:
        """How long no client has been connected; None before the first connection."""
        return self._connection.idle_seconds

    def is_wanted(self) -> bool:
        """Return whether the local port was used recently, or events are being read."""
        if self.events.has_readers:
            return True
        idle = self._connection.idle_seconds
        return idle is not None and idle < QUIET_SECONDS

    @property
    def is_at_work(self) -> bool:
        """Whether an agent is known to work or to wait, and the daemon can be reached."""
        return self._listener.feed.is_at_work and self._connection.is_up()

    def attach(
        self, spec: ConnectionSpec, client: AttachClient, *, start: bool, timeout: float
    ) -> dict[str, Any]:
        """Return a ready daemon for the connection. It is started if none runs and `start` is true."""
        with taken(self._lock, timeout) as left:
            adopt(client.environ)
            self._spec, self._may_start = spec, start or self._may_start
            for event in self.history.take_news():
                client.notice(event)
            if self._connection.tunnel is not None:
                attached = self.reuse(spec, client, left)
                if attached is not None:
                    return attached
                client.step("The connection was lost; connecting again")
            self._crash_guard.reset()
            adopt(client.environ, wholly=True)
            started = self.connect_twice(spec, client, start=start, timeout=left)
            daemon = self._connection.daemon
            if daemon is not None and daemon.pid and not daemon.password:
                client.notice(no_password(daemon.port))
            return self.answers.attached(spec.workdir, started=started)

    def reuse(self, spec: ConnectionSpec, client: AttachClient, timeout: float) -> dict[str, Any] | None:
        """Return the present connection; None if the daemon does not answer."""
        connection = self._connection
        handler, tunnel, daemon = connection.handler, connection.tunnel, connection.daemon
        if handler is None or tunnel is None or daemon is None or not connection.is_up():
            return None
        try:
            if spec.workdir not in connection.directories:
                handler.spec, handler.ask, handler.timeout = spec, client.ask, timeout
                handler.check_daemon_running()
            directory = connection.make_ready(handler, spec, timeout=min(timeout, REUSE_SECONDS))
            self._listener.add_connection(spec, directory)
        except (ConnectionLostError, TimedOutError, UnreachableError) as error:
            self._state.lose(f"the daemon does not answer any more: {error}")
            return None
        except AuthenticationError as error:  # another has taken its place, started from elsewhere
            connection.reject(error.message)
            return None
        client.step(f"Daemon already running on port {daemon.port} ({connection.version})")
        client.step(connected(tunnel))
        return self.answers.attached(spec.workdir, started=False)

    def restore(self) -> None:
        """Restore a lost connection, unless another thread has done so. Raises the error of the attempt."""
        with taken(self._lock, DIAL_SECONDS):
            spec, tunnel = self._spec, self._connection.tunnel
            is_lost = tunnel is not None and self._state.state is LinkState.LOST
            if spec is None or tunnel is None or not is_lost or self._closed:
                return
            unattended = Unattended(self.history, command_line("ocattach", command_name(spec)))
            before = self._summary
            started = self.connect(
                spec, unattended, start=self._may_start, timeout=START_SECONDS, reach_within=DIAL_SECONDS
            )
            gap = time.monotonic() - self._state.lost_at
            held = f"; held requests: {tunnel.released}" if tunnel.released else ""
            self.history.note(f"restored after {gap:.1f} s{held}")
            again = ""
            if started:
                again = f"; the daemon had exited and was started again on port {tunnel.remote_port}"
            if again or self._summary != before:
                self.history.report(f"The connection was lost and restored: {self._summary}{again}")

    def connect_twice(
        self, spec: ConnectionSpec, client: AttachClient, *, start: bool, timeout: float
    ) -> bool:
        """Call `connect`, and again if the connection was lost at once. Returns whether a daemon was started."""
        deadline = Deadline(timeout)
        try:
            return self.connect(spec, client, start=start, timeout=timeout)
        except ConnectionLostError as error:
            if deadline.left < timeout * ENOUGH:
                raise
            client.step(f"Connecting again: {error}")
            return self.connect(spec, client, start=start, timeout=deadline.left)

    def connect(
        self,
        spec: ConnectionSpec,
        client: AttachClient,
        *,
        start: bool,
        timeout: float,
        reach_within: float | None = None,
    ) -> bool:
        """Connect: environment, daemon, route, readiness. Returns whether a daemon was started.

        The first call opens the local port, later ones reuse it. `reach_within` limits the time to reach the
        environment, `timeout` that of each later step.
        """
        connection = self._connection
        handler, tunnel = connection.handler, connection.tunnel
        if handler is None:
            handler = connection.handler = open_handler(spec, ask=client.ask, timeout=timeout)
        elif not (connection.is_environment_up or (tunnel is None and self.forwards.is_connected)):
            connection.release_route("connecting again")
        kept, connection.is_environment_up = connection.is_environment_up, False
        handler.spec, handler.ask, handler.timeout = spec, client.ask, reach_within or timeout
        self._state.begin()
        try:
            self._summary = handler.check_available().summary
            client.step(self._summary)
            client.doing("Looking for a daemon")
            handler.timeout = timeout
            handler.prepare_tunnel()
            daemon, started = self._crash_guard.find_or_start(
                handler, client, start=start, environment_kept=kept
            )
            connection.daemon = daemon
            port = tunnel or self.open_port()
            port.hold()
            self._access.lead_to(daemon)
            client.doing("Waiting for the daemon")
            connection.use(handler.connect(daemon.port, tunnel=port))
            connection.directories.clear()
            self._listener.add_connection(spec, connection.make_ready(handler, spec, timeout=timeout))
            connection.finish(port, daemon.port)
            self._listener.resume(connection.version)
            port.release()
        except BaseException as error:
            self.fail(error, is_first=tunnel is None)
            raise
        if not started:
            client.step(f"Daemon already running on port {daemon.port} ({connection.version})")
        client.step(connected(port))
        return started

    def fail(self, error: BaseException, *, is_first: bool) -> None:
        """An attempt to connect has failed."""
        if is_first:
            self._connection.drop(keep_handler=self.forwards.is_connected)
            self._state.move(LinkState.STARTING)
            return
        if not self._connection.is_environment_up:
            self._connection.release_route("the environment cannot be used")
        self._state.lose(logged_error(error).message)
        self._state.restore_given_up()
        self._reconnector.retry_now()

    def open_port(self) -> "Tunnel":
        """Open the local port, without a route yet."""
        events = Events(on_lost=self.notice_loss, on_held=self._reconnector.retry_now)
        self._connection.tunnel = open_port(
            self._connection.open_client,
            self._limits,
            events,
            self._listener,
            lambda: greeting(self._listener, self._connection),
            access=self._access,
        )
        return self._connection.tunnel

    def notice_loss(self, reason: str) -> None:
        """The connection was lost. Called in the tunnel's thread."""
        self._connection.notice_loss()
        self._state.lose(reason)
        self._reconnector.retry_now()

    def give_up(self, error: OcattachError) -> None:
        """Stop trying to reconnect, and refuse requests with the reason."""
        if not self._state.give_up(error):
            return
        self.history.announce(f"Stopped trying to reconnect: {error.message}")
        if self._connection.tunnel is not None:
            self._connection.tunnel.refuse(f"{error.message}. Run ocattach again to connect")

    def check(self) -> None:
        """Check whether the connection still works, and retry now if it is lost."""
        self.history.note("the clock has jumped: checking the connection")
        if self._connection.tunnel is not None:
            self._connection.tunnel.check()
        self._reconnector.retry_now()

    def log_out_browsers(self) -> bool:
        """Make the cookies and links of all browsers invalid, and reset their connections. Returns True."""
        self._access.log_out()
        if self._connection.tunnel is not None:
            self._connection.tunnel.reset_browsers()
        return True

    def stop_daemon(
        self, spec: ConnectionSpec, client: AttachClient, *, force: bool, timeout: float
    ) -> int | None:
        """Stop the daemon. Returns its pid; None if none ran."""
        with taken(self._lock, timeout) as left:
            adopt(client.environ)
            if self._connection.handler is None:
                self._connection.handler = open_handler(spec, ask=client.ask, timeout=left)
            self._connection.handler.ask = client.ask
            self._connection.handler.check_available()
            return self._connection.handler.stop_daemon(force=force)

    def close(self) -> None:
        """Close everything, also while a request is in progress."""
        self._closed = True
        self.forwards.close()
        self._listener.end()
        self._connection.drop()
        self._reconnector.end()
        self._connection.drop()  # an attempt in progress may have opened it again
        self._listener.join()
