"""Pods of a Kubernetes cluster, through its API server."""

import os
import shlex
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, closing
from typing import Self

from ocattach.config.spec import ConnectionSpec
from ocattach.config.targets.kubernetes import KubernetesTarget
from ocattach.daemon import DaemonStatus
from ocattach.errors import (
    ConnectionLostError,
    EnvironmentNotFoundError,
    EnvironmentNotRunningError,
    OcattachError,
    TimedOutError,
    UnreachableError,
    UsageError,
)
from ocattach.execution import CommandResult, Stream
from ocattach.transports.base import ODD_SHAPE, Ask, Availability, Plan
from ocattach.transports.command import CommandTransport
from ocattach.transports.foreground import AttachedCommand
from ocattach.transports.kubernetes.channels import STATUS, STDERR, STDOUT, Channels, exchange
from ocattach.transports.kubernetes.cluster import Cluster, ForbiddenError, NotFoundError
from ocattach.transports.kubernetes.foreground import FEEDER, attached
from ocattach.transports.kubernetes.forward import find_daemon
from ocattach.transports.kubernetes.lookup import find_pods
from ocattach.transports.kubernetes.pods import Choice, LastPod, Pod, choose, last_pod, remember_pod
from ocattach.transports.kubernetes.status import exit_code
from ocattach.transports.kubernetes.streams import COMMAND, FORWARDED_PORT, ChannelStream
from ocattach.transports.loader import LOADER, loader_input, started
from ocattach.tunnel.route import DialRoute, Route
from ocattach.tunnel.tunnel import Tunnel

FED = 'count=$1; shift; head -c "$count" | "$@"'
"""Limits a command's input to a number of bytes, since clusters before 1.30 cannot send its end."""


class KubernetesTransport(CommandTransport):
    """A container of a pod; commands run by `exec`. It needs no service and no software besides OpenCode.

    If exec is forbidden but port forwarding is allowed, a daemon that already runs on a known port is used.
    """

    scheme = "k8s"
    prepares_relay = True

    def __init__(self, spec: ConnectionSpec, *, ask: Ask, timeout: float = 60) -> None:
        super().__init__(spec, ask=ask, timeout=timeout)
        if not isinstance(spec.target, KubernetesTarget):
            raise TypeError(spec.target)
        self._target = spec.target.pinned(os.environ)
        self._cluster: Cluster | None = None
        self._owned = ExitStack()
        """Closes the connection, unless that belongs to another handler."""
        self._choice: Choice | None = None
        self._exec_forbidden: ForbiddenError | None = None
        self._half_closing = False
        """Whether the last exec could end its input."""

    def plan(self) -> Plan:
        target = self._target
        settings = {"--context": target.context, "--namespace": target.namespace}
        options = [word for option, value in settings.items() if value for word in (option, value)]
        # kubectl exec takes no selector, and the pod is known only after a query.
        pod = f"{target.kind}/{getattr(target, target.kind)}" if target.kind != "selector" else "POD"
        container = ["--container", target.container] if target.container else []
        port = self.spec.daemon_port
        forward = f"port-forward to port {port}" if port else "none, as the connection names no port"
        return Plan(
            f"the cluster of context {target.context or '(the current one)'}, {target.name} in namespace "
            f"{target.namespace or '(the default)'}",
            command=("kubectl", *options, "exec", "-i", pod, *container, "--"),
            routes=("relay: one exec that carries all connections", f"if exec is forbidden: {forward}"),
        )

    @property
    def place(self) -> str:
        return f"pod {self._choice.pod.name}" if self._choice else self._target.name

    @property
    def cluster(self) -> Cluster:
        """The connection to the API server, opened on first use."""
        if self._cluster is None:
            self._cluster = Cluster(self._target, ask=lambda: self.ask, timeout=self.timeout)
            self._owned.callback(self._cluster.close)
        return self._cluster

    def connection_key(self) -> str:
        return repr((self.scheme, self._target.context))

    def open_connection(self) -> None:
        self.cluster.get("/version")  # all users may read it (RBAC: system:public-info-viewer)

    def share(self, other: Self) -> None:
        self._cluster = other.cluster.in_namespace(self._target.namespace)

    @property
    def chosen(self) -> Choice:
        """The pod and container to use, chosen on first use."""
        if self._choice is None:
            self.check_available()
        if self._choice is None:
            raise EnvironmentNotFoundError(f"No {self._target.name}")
        return self._choice

    def check_available(self) -> Availability:
        last = last_pod(self.spec.link_key())
        try:
            pods = find_pods(self.cluster, self._target)
            self._choice = choose(pods, self._target.container, last)
        except EnvironmentNotRunningError as error:
            error.hint = f"Try: {self.cluster.kubectl(*shlex.split(error.hint))}"
            raise
        except ODD_SHAPE as error:
            raise UnreachableError(
                f"{self.cluster.name} ({self.cluster.server}) gave an answer that makes no sense",
                hint=f"Try: {self.cluster.kubectl('get', 'pods', '--output', 'json')}",
            ) from error
        return Availability(self._choice.summary(last, pods))

    def run(self, argv: Sequence[str], *, stdin: bytes = b"", timeout: float) -> CommandResult:
        deadline = time.monotonic() + timeout
        fed = ["sh", "-c", FED, "sh", str(len(stdin)), *argv] if stdin else argv
        command = loader_input(fed, has_more=bool(stdin))
        with closing(self.open_exec(LOADER)) as channels:
            try:
                output = exchange(channels, command + stdin, deadline)
            except TimedOutError as error:
                raise TimedOutError(
                    f"A command in {self.place} did not end within {timeout:.0f} s"
                ) from error
        code, reason = exit_code(bytes(output[STATUS]), self.place)
        if reason:
            raise UnreachableError(
                f"No shell (sh) in {self.place}, which ocattach needs: {reason}",
                hint="Use an image with a shell, or name another container of the pod: --container",
            )
        return CommandResult(code, bytes(output[STDOUT]), bytes(output[STDERR]))

    def open_stream(self, argv: Sequence[str]) -> Stream:
        return started(ChannelStream(self.open_exec(LOADER), COMMAND), argv, self.place)

    def open_foreground(self, argv: Sequence[str], *, size: os.terminal_size | None) -> AttachedCommand:
        needs_feeder = size is None and not self._half_closing
        channels = self.open_exec([*FEEDER, *argv] if needs_feeder else argv, tty=size is not None)
        return attached(channels, self.place, in_blocks=needs_feeder, size=size)

    def open_exec(self, argv: Sequence[str], *, tty: bool = False) -> Channels:
        """Start a command in the chosen container."""
        query = [("command", word) for word in argv]
        query += [(channel, "true") for channel in ("stdin", "stdout", "tty" if tty else "stderr")]
        channels = self.open_channels("exec", [*query, ("container", self.chosen.container)])
        self._half_closing = channels.half_closing
        return channels

    def open_channels(self, what: str, query: Sequence[tuple[str, str]]) -> Channels:
        """Open a WebSocket to the pod for `exec` or `portforward`."""
        pod = self.chosen.pod.name
        try:
            return self.cluster.open_channels(self.cluster.path("pods", pod, what), query)
        except NotFoundError as error:
            self._choice = None
            raise EnvironmentNotFoundError(
                f"Pod {pod} no longer exists: {error.message}",
                hint=f"Try: {self.cluster.kubectl('get', 'pods')}",
            ) from error

    def check_daemon_running(self) -> DaemonStatus:
        self._exec_forbidden = None
        try:
            return super().check_daemon_running()
        except ForbiddenError as forbidden:
            self._exec_forbidden = forbidden
        return self.forwarded_daemon(self._exec_forbidden)

    def start_daemon(self) -> DaemonStatus:
        if self._exec_forbidden is not None:
            raise self._exec_forbidden
        return super().start_daemon()

    def forwarded_daemon(self, forbidden: ForbiddenError) -> DaemonStatus:
        """Find the daemon on the connection's port by port forwarding, without exec."""
        port = self.spec.daemon_port
        if port is None:
            raise ForbiddenError(
                forbidden.message,
                hint="If a daemon already runs there, set its port in the connection. " + forbidden.hint,
            )
        if self.spec.workdir and not self.spec.workdir.startswith("/"):
            raise UsageError(
                f"Cannot resolve {self.spec.workdir} in {self.place}: {forbidden.message}",
                hint="Name an absolute directory with --workdir",
            )
        try:
            self.dial(port).close()
        except ForbiddenError as second:
            raise ForbiddenError(f"{forbidden.message}; {second.message}", hint=forbidden.hint) from second
        with self.open_tunnel(None, port, self.forward_routes()) as tunnel:
            daemon = find_daemon(
                tunnel.url, port, place=self.place, ask=self.ask, password=self._daemon_password
            )
        return self.keep_daemon(DaemonStatus(daemon))

    def dial(self, port: int) -> Stream:
        """Open a connection to a port of the pod. Thread-safe.

        Raises ConnectionLostError when the pod no longer exists.
        """
        try:
            channels = self.open_channels("portforward", [("ports", str(port))])
        except (EnvironmentNotFoundError, UnreachableError) as error:
            raise ConnectionLostError(error.message, hint=error.hint) from error
        return ChannelStream(channels, FORWARDED_PORT)

    def check_pod(self) -> None:
        """Check that the cluster answers and that the pod was not replaced. Raises ConnectionLostError."""
        try:
            now = Pod.from_json(self.cluster.get(self.cluster.path("pods", self.chosen.pod.name)))
        except OcattachError as error:
            raise ConnectionLostError(error.message, hint=error.hint) from error
        if now.uid != self.chosen.pod.uid:
            raise ConnectionLostError(f"Pod {now.name} was replaced")

    def forward_routes(self) -> Iterator[Callable[[], Route]]:
        """Yield the route by the cluster's port forwarding."""
        yield lambda: DialRoute("port-forward", self.dial, ping=self.check_pod)

    def routes(self, port: int) -> Iterator[Callable[[], Route]]:
        """Return the relay routes, or port forwarding if exec is forbidden."""
        return super().routes(port) if self._exec_forbidden is None else self.forward_routes()

    def connect_ports(self, tunnel: Tunnel) -> None:
        try:
            super().connect_ports(tunnel)
        except ForbiddenError:
            self.open_tunnel(tunnel, 0, self.forward_routes())

    def connect(self, remote_port: int, *, tunnel: Tunnel | None = None) -> Tunnel:
        opened = super().connect(remote_port, tunnel=tunnel)
        pod = self.chosen.pod
        if self.remembers:
            remember_pod(self.spec.link_key(), LastPod(pod.name, pod.uid))
        return opened

    def disconnect(self) -> None:
        super().disconnect()
        self._cluster = None
        self._owned.close()
