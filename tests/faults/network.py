"""Faults of the network between the laptop and the environment."""

from collections.abc import Sequence
from typing import ClassVar

from tests.faults.fault import Fault
from tests.faults.site import Site
from tests.faults.sites import MachineSite, PodSite
from tests.rigs.links import Cable
from tests.rigs.namespaces import Confined, run
from tests.rigs.slow_path import SlowPath


def cable_of(site: Site) -> Cable:
    """What the site is connected by."""
    assert isinstance(site, MachineSite | PodSite)
    cable: Cable = site.machine.cable if isinstance(site, MachineSite) else site.engine.cable
    return cable


def within(machine: Confined, *argv: str) -> None:
    """Run a command in a machine's network."""
    run("nsenter", "-t", str(machine.pid), "-n", *argv)


def change_dropping(cable: Cable, change: str) -> None:
    """Begin (-I) or end (-D) to drop every packet at the far end of a cable."""
    for chain, option in (("INPUT", "-i"), ("OUTPUT", "-o")):
        within(cable.far, "iptables", "-w", change, chain, option, f"eth{cable.number}", "-j", "DROP")


class PacketsDropped(Fault):
    """No packet comes through, in either direction, and nobody is told."""

    name, what = "packets-dropped-5s", "every packet is dropped for 5 s"
    sites: ClassVar[Sequence[str]] = ("ssh", "k8s")
    long = 3
    seconds = 5
    cuts = False  # TCP sends again, and carries on

    def induce(self, site: Site) -> None:
        change_dropping(cable_of(site), "-I")

    def restore(self, site: Site) -> None:
        change_dropping(cable_of(site), "-D")


class PacketsDroppedForHalfAMinute(PacketsDropped):
    name, what = "packets-dropped-30s", "every packet is dropped for 30 s"
    short, long = 0, 2
    seconds = 30
    cuts = True
    settles = 150  # sshd learns that nobody is there when TCP next tries to reach us


class PacketsDroppedForTwoMinutes(PacketsDroppedForHalfAMinute):
    name, what = "packets-dropped-120s", "every packet is dropped for 120 s"
    long = 1
    seconds = 120


class ConnectionsReset(Fault):
    name, what = "connections-reset", "RST of every TCP connection to the environment"
    sites: ClassVar[Sequence[str]] = ("ssh", "k8s", "local")
    short, long = 0, 60

    def induce(self, site: Site) -> None:
        if site.name == "local":
            port = f":{site.daemon_port()}"
            run("ss", "-K", "-tn", f"( dport = {port} or sport = {port} )")
            return
        cable = cable_of(site)
        near = cable.address.rpartition(".")[0] + ".1"
        within(cable.far, "ss", "-K", "-tn", "state", "established", f"dst {near}")


class SlowAndLossy(Fault):
    name, what = "slow-and-lossy", "300 ms delay and 2 % loss of packets, for 20 s"
    sites: ClassVar[Sequence[str]] = ("ssh", "k8s")
    short, long = 0, 2
    seconds = 20
    cuts = False
    simulated = "real packets, delayed and lost by a program between two TUN devices"

    def __init__(self) -> None:
        self._path: SlowPath | None = None

    def induce(self, site: Site) -> None:
        self._path = SlowPath(cable_of(site), seconds=0.15, loss=0.02)

    def restore(self, site: Site) -> None:  # noqa: ARG002
        assert self._path is not None
        self._path.close()
