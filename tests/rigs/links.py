"""Virtual cables between network namespaces, with numbers that two test runs at once do not share."""

import random
import re
import subprocess
from dataclasses import dataclass
from pathlib import Path

from tests.rigs.namespaces import Confined, run

PREFIX = "10.213"  # private addresses; a route makes sure that nothing sent to them leaves this machine
NUMBERS = range(25, 255)
ATTEMPTS = 50


@dataclass(frozen=True, slots=True)
class Cable:
    """A cable from this machine, or from another confined one, into a confined machine."""

    number: int
    far: Confined
    near: Confined | None

    @property
    def address(self) -> str:
        """The address of the far end."""
        return f"{PREFIX}.{self.number}.2"

    def pull(self) -> None:
        """Cut it: packets are lost silently from now on."""
        run(*_at(self.far), "ip", "link", "set", f"eth{self.number}", "down")

    def plug(self) -> None:
        """Mend it."""
        run(*_at(self.far), "ip", "link", "set", f"eth{self.number}", "up")

    def remove(self) -> None:
        """Take back what outlives the machine's namespaces."""
        _remove_route(self.number)


def remove_stale_routes() -> None:
    """Remove the routes that runs which were killed have left: those without a cable."""
    for line in run("ip", "route", "show", "type", "unreachable").splitlines():
        found = re.match(rf"unreachable {re.escape(PREFIX)}\.(\d+)\.0/30 ", line)
        if found and not Path(f"/sys/class/net/oct{found[1]}").exists():
            _remove_route(int(found[1]))


def connect(far: Confined, near: Confined | None = None) -> Cable:
    """Lay a cable to a machine, from here or from another machine; it goes with the machines."""
    for number in random.sample(NUMBERS, ATTEMPTS):
        cable = Cable(number, far, near)
        try:
            run(*_at(near), "ip", "link", "add", f"oct{number}", "type", "veth", *_peer(cable))
        except RuntimeError as error:
            if "exists" not in str(error):  # another run has this number
                raise
            continue
        _assign(cable)
        return cable
    raise RuntimeError(f"no free number for a cable in {ATTEMPTS} attempts")


def _peer(cable: Cable) -> list[str]:
    return ["peer", "name", f"eth{cable.number}", "netns", str(cable.far.pid)]


def _assign(cable: Cable) -> None:
    number = cable.number
    if cable.near is None:
        # A client that dials before the cable is up, or after it is gone, must not reach the real network.
        run("ip", "route", "replace", "unreachable", _block(number), "metric", "4000")
    for at, device, last in ((_at(cable.near), f"oct{number}", 1), (_at(cable.far), f"eth{number}", 2)):
        run(*at, "ip", "address", "add", f"{PREFIX}.{number}.{last}/30", "dev", device)
        run(*at, "ip", "link", "set", device, "up")


def _remove_route(number: int) -> None:
    """Remove the route of a cable, which may be gone already."""
    argv = ["ip", "route", "del", "unreachable", _block(number), "metric", "4000"]
    subprocess.run(argv, capture_output=True, check=False)


def _block(number: int) -> str:
    return f"{PREFIX}.{number}.0/30"


def _at(machine: Confined | None) -> list[str]:
    return [] if machine is None else ["nsenter", "-t", str(machine.pid), "-n"]
