"""Opens clients to daemons: the one place where a DaemonClient is made outside of a link and of its handlers."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager, nullcontext
from dataclasses import replace
from typing import TYPE_CHECKING

from ocattach.config.spec import ConnectionSpec
from ocattach.errors import DaemonNotRunningError, PersonNeededError
from ocattach.link.client.foreground import GRACE_SECONDS
from ocattach.link.client.queries import daemon_of_link
from ocattach.link.server.daemon_starter import command_name
from ocattach.link.server.port import open_client as tunnel_client
from ocattach.transports import open_handler
from ocattach.transports.base import Ask, Question, TransportHandler
from ocattach.transports.shared import SharedConnections

if TYPE_CHECKING:
    from ocattach.opencode.api import DaemonClient


class Nobody:
    """In the place of a person: who only looks around asks none."""

    def __init__(self, spec: ConnectionSpec) -> None:
        self._name = command_name(spec)

    def __call__(self, question: Question) -> str:
        """Raise PersonNeededError, with the command by which a person is asked."""
        first, *_ = question.text.strip(" :\n").splitlines()
        raise PersonNeededError(
            f"Only a person can answer: {first}", hint=f"Connect once from a terminal: ocattach {self._name}"
        )


REQUEST_SECONDS = 10.0
"""How long a daemon may take for an answer: a session's messages can be megabytes, on a slow line."""


@contextmanager
def open_client(
    spec: ConnectionSpec,
    *,
    environ: Mapping[str, str],
    ask: Ask,
    timeout: float,
    ways: SharedConnections | None = None,
) -> Iterator["DaemonClient"]:
    """Requests to the daemon of an environment: through its link where that is up, else by a dial of their own.

    Nothing is started. Raises DaemonNotRunningError with the command that does where none runs, and whatever stands
    in the way; `ask` puts questions to a person, `ways` are those that several environments have in common.
    """
    linked = None
    if spec.target.needs_link:
        linked = daemon_of_link(spec.link_key(environ), environ, timeout=min(timeout, GRACE_SECONDS))
    if linked is not None:
        client = client_at(linked.url, linked.username, linked.password)
        client.known_version, client.still = linked.version, frozenset(linked.still)
        yield client
        return

    def make() -> TransportHandler:
        # Its directory may be gone by now, which is of no matter here.
        handler = open_handler(replace(spec, workdir=None), ask=ask, timeout=timeout)
        handler.remembers = not isinstance(ask, Nobody)
        return handler

    with make() as handler, ways.shared(handler, make) if ways else nullcontext():
        handler.check_available()
        with client_of(handler) as client:
            yield client


@contextmanager
def client_of(handler: TransportHandler) -> Iterator["DaemonClient"]:
    """Requests to the daemon that runs behind a handler. Raises DaemonNotRunningError where none does."""
    spec = handler.spec
    if not spec.target.needs_link:
        direct = handler.direct()
        yield client_at(direct.url, direct.username, direct.password, ca_file=direct.ca_file)
        return
    daemon = handler.check_daemon_running().daemon
    if daemon is None:
        raise DaemonNotRunningError(
            f"No daemon runs in {spec.display()}", hint=f"Start it: ocattach {command_name(spec)}"
        )
    with handler.connect(daemon.port) as tunnel:
        yield tunnel_client(tunnel, daemon, REQUEST_SECONDS)


def client_at(
    url: str,
    username: str,
    password: str,
    *,
    ca_file: str | None = None,
    timeout: float = REQUEST_SECONDS,
) -> "DaemonClient":
    """Return a client for the daemon at a URL; each of its requests may take `timeout` seconds."""
    from ocattach.opencode.api import DaemonClient  # noqa: PLC0415 - HTTP: for who dials
    from ocattach.opencode.endpoint import Endpoint  # noqa: PLC0415

    place = Endpoint(url, ca_file=ca_file)
    return DaemonClient(place, username=username, password=password, timeout=timeout)
