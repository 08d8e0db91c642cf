"""Ports of this machine that are forwarded: which one is chosen, and why one cannot be had."""

import errno
from contextlib import suppress
from typing import TYPE_CHECKING, Any, NamedTuple

from ocattach.config.spec import ConnectionSpec
from ocattach.config.targets.local import LocalTarget
from ocattach.daemon.ports import ListeningPort, ListeningPorts, list_ports
from ocattach.errors import LocalPortError, OcattachError
from ocattach.transports.base import NoPerson

if TYPE_CHECKING:
    from ocattach.tunnel.tunnel import Tunnel

HOLDER_SECONDS = 5.0


class Wanted(NamedTuple):
    """A port to forward."""

    local: int | None
    """None: the same port as there if it is free, else another."""

    port: int


class Forward(NamedTuple):
    """A forwarded port."""

    local: int
    port: int

    def to_json(self, found: ListeningPorts | None) -> dict[str, Any]:
        """Return it with a `note` if a connection would not be answered now, by what listens there."""
        return {**self._asdict(), "note": None if found is None else note(self.port, found)}


def note(port: int, found: ListeningPorts) -> str | None:
    """Return why connections to a port there are refused at present; None if they are not."""
    there = [each for each in found.ports if each.port == port]
    if any(each.is_on_loopback for each in there):
        return None
    if there:
        addresses = ", ".join(dict.fromkeys(each.address for each in there))
        return f"Port {port} there is open on {addresses} only; let its program listen on 127.0.0.1, too"
    return f"Nothing listens on port {port} there yet"


def open_local_port(tunnel: "Tunnel", wanted: Wanted, is_own_network: bool) -> Forward:
    """Open the local port for a port there.

    If both are of the same network, as in a container on the host's, the two ports must differ: a connection would
    otherwise be forwarded to itself. Raises LocalPortError.
    """
    local, port = wanted
    if is_own_network and local in {None, port}:
        if local is not None:
            raise LocalPortError(
                f"Port {port} there is port {port} of this machine: they share one network",
                hint=f"Use 127.0.0.1:{port} directly, or leave the local port out",
            )
        local = 0
    try:
        return Forward(tunnel.forward(port, local=local), port)
    except OSError as error:
        raise unavailable(local or 0, error) from error


def unavailable(local: int, error: OSError) -> LocalPortError:
    """Return the error for a local port that cannot be opened, which names the program that has it."""
    hint = "Leave the local port out to get a free one, or choose another"
    if error.errno == errno.EADDRINUSE:
        return LocalPortError(f"Port {local} of this machine is in use{by(holder(local))}", hint=hint)
    if error.errno == errno.EACCES:
        return LocalPortError(f"Port {local} of this machine needs privileges", hint=hint)
    return LocalPortError(f"Port {local} of this machine cannot be opened: {error.strerror}", hint=hint)


def by(program: ListeningPort | None) -> str:
    """Return the end of a sentence: by which program."""
    if program is None:
        return ""
    if program.pid is None:
        return " by a program of another account"
    return f" by {program.program or 'a program'} (pid {program.pid})"


def holder(local: int) -> ListeningPort | None:
    """Return the program that listens on a port of this machine; None if that cannot be seen."""
    from ocattach.transports.local import LocalTransport  # noqa: PLC0415 - asyncio, loaded during an ssh login

    machine = LocalTransport(ConnectionSpec(target=LocalTarget()), ask=NoPerson("Unexpected question"))
    with suppress(OcattachError), machine as handler:
        found = list_ports(handler.run, timeout=HOLDER_SECONDS).ports
        return next((each for each in found if each.port == local), None)
    return None
