"""Commands in a network namespace of this machine, by nsenter(1)."""

from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

from ocattach.config.suggestion import did_you_mean
from ocattach.errors import EnvironmentNotFoundError
from ocattach.transports.base import Availability
from ocattach.transports.command import CommandTransport
from ocattach.transports.local import LocalTransport
from ocattach.tunnel.route import Route

from .target import NetnsTarget

NAMESPACES = Path("/run/netns")


class NetnsTransport(LocalTransport):
    """The files and processes of this machine, but with separate ports, which only a relay reaches."""

    scheme = "netns"
    target = NetnsTarget
    reaches_ports = False

    @property
    def file(self) -> Path:
        """What nsenter enters."""
        return NAMESPACES / str(self.spec.target.to_entry()["namespace"])

    @property
    def place(self) -> str:  # type: ignore[override]
        return f"network namespace {self.file.name}"

    def check_available(self) -> Availability:
        if not self.file.exists():
            known = [path.name for path in NAMESPACES.glob("*")]
            raise EnvironmentNotFoundError(
                f"There is no {self.place}",
                hint=did_you_mean(self.file.name, known) or f"Create it: ip netns add {self.file.name}",
            )
        return Availability("Network namespace exists")

    def routes(self, port: int) -> Iterator[Callable[[], Route]]:
        return CommandTransport.routes(self, port)

    def inside(self, argv: Sequence[str]) -> list[str]:
        """The command that runs another in the namespace."""
        self.check_available()
        return ["nsenter", f"--net={self.file}", "--", *argv]
