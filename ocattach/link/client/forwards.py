"""Forwards ports through the link of an environment, and lists the ports there."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from ocattach.config.spec import ConnectionSpec
from ocattach.errors import ConnectionLostError, OcattachError, UsageError
from ocattach.link.client.foreground import ask
from ocattach.link.messages import Foreground, HungUpError, Message, MessageChannel


@dataclass(frozen=True, slots=True)
class ForwardedPort:
    """A port of 127.0.0.1 that leads to a port of an environment."""

    local: int
    port: int
    note: str | None
    """Why connections to it are refused at present."""


def check_ports(spec: ConnectionSpec) -> None:
    """Raise UsageError for an environment that is only known by the URL of its daemon."""
    if not spec.target.runs_commands:
        raise UsageError(
            f"{spec.title()} is known by OpenCode's URL alone: its other ports cannot be reached"
        )


def list_ports(
    spec: ConnectionSpec, foreground: Foreground, environ: Mapping[str, str], *, timeout: float
) -> list[dict[str, Any]]:
    """Return the sockets on which programs listen, as `Forwards.all_ports` does. The environment wrote their texts."""
    check_ports(spec)
    found: list[dict[str, Any]] = ask(spec, {"do": "ports"}, foreground, environ, timeout=timeout)["ports"]
    return found


def forward(
    spec: ConnectionSpec,
    wanted: Sequence[tuple[int | None, int]],
    foreground: Foreground,
    environ: Mapping[str, str],
    *,
    timeout: float,
    on_open: Callable[[Sequence[ForwardedPort]], object],
) -> None:
    """Forward ports, each a pair of the local port, if it matters, and the port there. Returns only by an exception.

    `on_open` is called once, when they are open; losses are shown as notices. No daemon is started.
    Raises ConnectionLostError when the link ends, and the error that only a person can mend.
    """
    check_ports(spec)

    def stay(channel: MessageChannel, answer: Message) -> Message:
        on_open([ForwardedPort(**each) for each in answer["forwards"]])
        try:
            while "error" not in (change := channel.receive(timeout=None)):
                if change["is_up"]:
                    foreground.step("Connected again")
                else:
                    foreground.notice(
                        f"The connection was lost; new connections wait. {change['reason'] or ''}"
                    )
        except HungUpError as error:
            raise ConnectionLostError(f"The link to {spec.display()} has ended") from error
        raise OcattachError.from_json(change["error"])

    ask(spec, {"do": "forward", "ports": list(wanted)}, foreground, environ, timeout=timeout, stay=stay)
