"""Faults that hit one program: the link, the relay, the daemon."""

import socket
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import ClassVar

import psutil

from tests.faults.clients import Way
from tests.faults.fault import Fault
from tests.faults.site import Site
from tests.rigs.waiting import wait_until


def kill(processes: list[psutil.Process]) -> None:
    """SIGKILL, for all of them; raises LookupError when there is none."""
    if not processes:
        raise LookupError("there is nothing to kill")
    for process in processes:
        try:
            process.kill()
        except psutil.NoSuchProcess:
            continue


class LinkKilled(Fault):
    name, what = "link-killed", "SIGKILL of the link; then `ocattach NAME`"
    sites: ClassVar[Sequence[str]] = ("docker", "local", "podman", "ssh", "k8s")
    long = 10
    ends_link = True

    def induce(self, site: Site) -> None:
        link = site.link
        link.kill()
        wait_until(lambda: not site.laptop.links(), "the link to end")


class RelayKilled(Fault):
    name, what = "relay-killed", "SIGKILL of the relay in the environment"
    sites: ClassVar[Sequence[str]] = ("docker", "podman", "ssh", "k8s")
    short, long = 0, 80
    has_terminal = True

    def induce(self, site: Site) -> None:
        kill(wait_until(site.relays, "a relay"))


class EightClients(RelayKilled):
    name, what = "eight-clients", "SIGKILL of the relay under 8 senders and 8 readers"
    sites: ClassVar[Sequence[str]] = ("docker", "podman", "ssh", "k8s")
    short, long = 0, 20
    senders, readers = 8, 8
    has_terminal = False


class DaemonKilled(Fault):
    name, what = "daemon-killed", "SIGKILL of the daemon"
    sites: ClassVar[Sequence[str]] = ("docker", "local", "podman", "ssh", "k8s")
    long = 4
    ends_daemon = True
    has_terminal = True

    def induce(self, site: Site) -> None:
        kill(site.daemons())


class DaemonKilledPastTheLink(DaemonKilled):
    name = "daemon-killed-control"
    what = "SIGKILL of the daemon, its clients past ocattach: what OpenCode loses by itself"
    sites: ClassVar[Sequence[str]] = ("docker", "local")
    short, long = 0, 4
    has_terminal = False
    through_link = False

    def __init__(self) -> None:
        self._is_down = threading.Event()

    def way(self, site: Site) -> Way:
        past = site.past_the_link()

        def dial(seconds: float) -> socket.socket:
            if self._is_down.is_set():
                # A daemon that is just starting accepts connections that it never answers.
                raise ConnectionRefusedError("the daemon does not answer yet")
            return past.dial(seconds)

        return Way(dial, past.authorization)

    def induce(self, site: Site) -> None:
        self._is_down.set()
        super().induce(site)

    def restore(self, site: Site) -> None:
        site.connect()
        self._is_down.clear()


class DaemonSlow(DaemonKilled):
    name, what = "daemon-slow", "SIGKILL of the daemon; the next one answers nothing for 10 s once it listens"
    sites: ClassVar[Sequence[str]] = ("docker", "local", "ssh")
    short_sites: ClassVar[Sequence[str]] = ("local",)
    long = 2
    has_terminal = False
    simulated = "it is stopped with SIGSTOP"

    def induce(self, site: Site) -> None:
        super().induce(site)
        wait_until(lambda: has_port(site), "the next daemon to listen", interval=0.005)
        for daemon in site.daemons():
            daemon.suspend()
        time.sleep(10)
        for daemon in site.daemons():
            daemon.resume()


def has_port(site: Site) -> bool:
    """Whether a daemon listens there."""
    try:
        return site.daemon_port() > 0
    except ConnectionRefusedError:
        return False


class Asleep(Fault):
    name, what = "asleep", "SIGSTOP of the link for 5 s, as a sleep of the laptop"
    sites: ClassVar[Sequence[str]] = ("docker", "local", "podman", "ssh", "k8s")
    short_sites: ClassVar[Sequence[str]] = ("ssh",)
    long = 3
    seconds = 5
    cuts = False
    simulated = "the rest of the machine stays awake"

    def induce(self, site: Site) -> None:
        site.link.suspend()

    def restore(self, site: Site) -> None:
        site.link.resume()


class AsleepForLong(Asleep):
    name, what = "asleep-long", "SIGSTOP of the link for 40 s"
    long = 1
    short = 0
    seconds = 40


CLOCK = """\
import os
import time

_path = os.environ["FAULTS_CLOCK"]


def _offset():
    try:
        return float(open(_path).read() or 0)
    except (OSError, ValueError):
        return 0.0


def _shift():
    time_time, clock_gettime = time.time, time.clock_gettime
    moved = {getattr(time, name) for name in ("CLOCK_REALTIME", "CLOCK_BOOTTIME") if hasattr(time, name)}
    time.time = lambda: time_time() + _offset()
    time.clock_gettime = lambda clock: clock_gettime(clock) + (_offset() if clock in moved else 0)


_shift()
"""


class ClockJump(Fault):
    name, what = "clock-jump", "wall clock and CLOCK_BOOTTIME of the link jump by an hour"
    sites: ClassVar[Sequence[str]] = ("docker", "local", "podman", "ssh", "k8s")
    short_sites: ClassVar[Sequence[str]] = ("local",)
    long = 5
    seconds = 3
    cuts = False
    simulated = "the link's Python is told a later time; the machine's clock is left alone"

    def __init__(self) -> None:
        self._hours = 0
        self._clock: Path | None = None

    @contextmanager
    def prepared(self, site: Site) -> Iterator[None]:
        folder = site.laptop.environment.laptop / "clock"
        folder.mkdir(exist_ok=True)
        (folder / "sitecustomize.py").write_text(CLOCK)
        self._clock = folder / "offset"
        self._clock.write_text("0")
        added = {"PYTHONPATH": str(folder), "FAULTS_CLOCK": str(self._clock), "PYTHONDONTWRITEBYTECODE": "1"}
        site.laptop.variables |= added
        try:
            yield
        finally:
            for name in added:
                del site.laptop.variables[name]

    def induce(self, site: Site) -> None:  # noqa: ARG002
        assert self._clock is not None
        self._hours += 1
        written = self._clock.with_name("offset.new")
        written.write_text(str(3600 * self._hours))
        written.replace(self._clock)
