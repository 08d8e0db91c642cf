"""A cable that is long and bad: packets take their time, and some are lost. This kernel may have no netem.

Two TUN devices, one at either end, take over the route between the addresses of the cable; a program hands on what
comes in by one to the other. Connections that stand go on, since their addresses stay.
"""

import fcntl
import heapq
import itertools
import os
import random
import select
import struct
import threading
import time

from tests.rigs.availability import Unavailable
from tests.rigs.links import Cable
from tests.rigs.namespaces import enter_network, run

TUN = "/dev/net/tun"
TUNSETIFF = 0x400454CA
IFF_TUN, IFF_NO_PI = 0x0001, 0x1000
LARGEST = 65536
RANDOM_SEED = 7


class SlowPath:
    """Delays all packets of a cable from this machine, in either direction, and loses some. Close it."""

    def __init__(self, cable: Cable, *, seconds: float, loss: float) -> None:
        """Each packet takes so many seconds, and is lost with this probability."""
        if not os.path.exists(TUN):  # noqa: PTH110
            raise Unavailable(f"there is no {TUN}")
        self._seconds, self._loss = seconds, loss
        self._random = random.Random(RANDOM_SEED)  # noqa: S311  it is no secret
        name = f"slow{cable.number}"
        near_address = cable.address.rpartition(".")[0] + ".1"
        self._near = open_tun(name)
        self._far = in_network(cable, name)
        self._stop, self._stopped = os.pipe()
        far = ("nsenter", "-t", str(cable.far.pid), "-n")
        for at, address in (((), cable.address), (far, near_address)):
            run(*at, "ip", "link", "set", name, "up")
            run(*at, "ip", "route", "add", f"{address}/32", "dev", name)
        self._thread = threading.Thread(target=self._work, name="slow path", daemon=True)
        self._thread.start()

    def close(self) -> None:
        """Have the cable as it was: the devices take their routes along."""
        os.write(self._stopped, b"\0")
        self._thread.join()
        for descriptor in (self._near, self._far, self._stop, self._stopped):
            os.close(descriptor)

    def _work(self) -> None:
        underway: list[tuple[float, int, int, bytes]] = []
        numbers = itertools.count()
        other = {self._near: self._far, self._far: self._near}
        while True:
            wait = max(0.0, underway[0][0] - time.monotonic()) if underway else None
            ready, _, _ = select.select([self._near, self._far, self._stop], [], [], wait)
            if self._stop in ready:
                return
            for device in ready:
                packet = os.read(device, LARGEST)
                if self._random.random() >= self._loss:
                    due = time.monotonic() + self._seconds
                    heapq.heappush(underway, (due, next(numbers), other[device], packet))
            while underway and underway[0][0] <= time.monotonic():
                _, _, device, packet = heapq.heappop(underway)
                os.write(device, packet)


def open_tun(name: str) -> int:
    """A TUN device in the calling thread's network; it is gone once its descriptor is closed."""
    descriptor = os.open(TUN, os.O_RDWR | os.O_CLOEXEC)
    fcntl.ioctl(descriptor, TUNSETIFF, struct.pack("16sH22x", name.encode(), IFF_TUN | IFF_NO_PI))
    return descriptor


def in_network(cable: Cable, name: str) -> int:
    """The same at the far end of a cable."""
    opened: list[int] = []

    def work() -> None:
        enter_network(cable.far.network.namespace)
        opened.append(open_tun(name))

    thread = threading.Thread(target=work)  # setns moves a single thread
    thread.start()
    thread.join()
    return opened[0]
