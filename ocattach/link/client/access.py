"""Opens clients to daemons. Outside of links and transports, only this module creates a DaemonClient."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager, nullcontext
from dataclasses import replace

from ocattach.config.spec import ConnectionSpec
from ocattach.errors import DaemonNotRunningError
from ocattach.link.client.foreground import GRACE_SECONDS, Attachment
from ocattach.link.client.queries import LinkedDaemon, daemon_of_link
from ocattach.link.server.daemon_starter import command_name
from ocattach.link.server.tunnel_endpoint import open_client as tunnel_client
from ocattach.opencode.api import DaemonClient
from ocattach.printable import command_line
from ocattach.transports import open_handler
from ocattach.transports.base import Ask, DirectDaemon, NoPerson, TransportHandler
from ocattach.transports.shared import SharedConnections


def no_person(spec: ConnectionSpec) -> NoPerson:
    """Return an `Ask` for commands that query many environments: its error names the command that asks."""
    command = command_line("ocattach", command_name(spec))
    return NoPerson("A person must answer", f"Connect once from a terminal: {command}")


REQUEST_SECONDS = 10.0
"""Seconds of a request: a session's messages can be megabytes, on a slow line."""


@contextmanager
def open_client(
    spec: ConnectionSpec,
    *,
    environ: Mapping[str, str],
    ask: Ask,
    timeout: float,
    shared: SharedConnections | None = None,
) -> Iterator[DaemonClient]:
    """Open a client for the daemon of an environment: through its link if there is one, else by a new connection.

    Starts nothing. Raises DaemonNotRunningError with the command that starts one, and the errors of the transport.
    `ask` answers the transport's questions; `shared` are connections that several environments use.
    """
    linked = None
    if spec.target.needs_link:
        linked = daemon_of_link(spec.link_key(environ), environ, timeout=min(timeout, GRACE_SECONDS))
    if linked is not None:
        client = client_at(linked)
        client.known_version = linked.version
        client.idle_directories = frozenset(linked.idle_directories)
        yield client
        return

    def make() -> TransportHandler:
        # The directory may not exist any more; it is not needed here.
        handler = open_handler(replace(spec, workdir=None), ask=ask, timeout=timeout)
        handler.remembers = not isinstance(ask, NoPerson)
        return handler

    with make() as handler, shared.shared(handler, make) if shared else nullcontext():
        handler.check_available()
        with client_of(handler) as client:
            yield client


@contextmanager
def client_of(handler: TransportHandler) -> Iterator[DaemonClient]:
    """Open a client for the daemon behind a handler. Raises DaemonNotRunningError if there is none."""
    spec = handler.spec
    if not spec.target.needs_link:
        yield client_at(handler.direct())
        return
    daemon = handler.check_daemon_running().daemon
    if daemon is None:
        raise DaemonNotRunningError(
            f"No daemon runs in {spec.display()}",
            hint=f"Start it: {command_line('ocattach', command_name(spec))}",
        )
    with handler.connect(daemon.port) as tunnel:
        yield tunnel_client(tunnel, daemon, REQUEST_SECONDS)


def client_at(
    found: Attachment | DirectDaemon | LinkedDaemon, *, timeout: float = REQUEST_SECONDS
) -> DaemonClient:
    """Return a client for a daemon that has a URL. Each request may take `timeout` seconds."""
    return DaemonClient(
        found.url, username=found.username, password=found.password, timeout=timeout, ca_file=found.ca_file
    )
