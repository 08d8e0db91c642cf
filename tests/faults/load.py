"""Clients that ask much of a link, or behave badly."""

import json
import socket
import time
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import ClassVar

from tests.faults.fault import Fault
from tests.faults.site import Site
from tests.rigs.waiting import wait_until

MEBIBYTE = 1024 * 1024
LARGE = 20 * MEBIBYTE
HUGE = 100 * 1000 * 1000
AT_ONCE = 16
STEPS = 3
BUSY_SECONDS = 120
EVERYWHERE = ("docker", "local", "podman", "ssh", "k8s")


class StopsReading(Fault):
    """A prompt of 20 MiB keeps the daemon busy: the far side is back when the daemon itself answers again."""

    name, what = "stops-reading", "a client asks for 20 MiB and reads nothing for 5 s"
    sites: ClassVar[Sequence[str]] = EVERYWHERE
    short, long = 0, 3
    seconds = 5
    cuts = False

    def __init__(self) -> None:
        self._session = ""
        self._connection: socket.socket | None = None
        self._silent = 0.0

    def induce(self, site: Site) -> None:
        if not self._session:
            self._session = store_much(site)
        way = site.through_the_link()
        connection = way.connection(60)
        headers = {**way.headers(), "Connection": "close"}
        connection.request("GET", f"/session/{self._session}/message", headers=headers)
        self._connection = connection.sock

    def restore(self, site: Site) -> None:
        assert self._connection is not None
        self._connection.close()
        began = time.monotonic()
        site.past_the_link().request("GET", "/global/health", seconds=BUSY_SECONDS)
        self._silent = max(self._silent, time.monotonic() - began)

    def figures(self) -> Mapping[str, float | str]:
        return {"s until the daemon answers past the link": round(self._silent, 2)}


def store_much(site: Site) -> str:
    """Have a session with a prompt of 20 MiB; return its id when the daemon has stored it and shown it once."""
    session = site.daemon.make_session()
    parts = [{"type": "text", "text": "x" * LARGE}]
    way = site.past_the_link()
    status, _ = way.request(
        "POST", f"/session/{session}/prompt_async", {"parts": parts, "noReply": True}, seconds=BUSY_SECONDS
    )
    if status != 204:
        raise RuntimeError(f"the daemon gave {status} for a large prompt")

    def is_stored() -> bool:
        return len(way.request("GET", f"/session/{session}/message", seconds=BUSY_SECONDS)[1]) > LARGE

    wait_until(is_stored, "the large prompt to be stored", timeout=BUSY_SECONDS)
    return session


class SendsMuch(Fault):
    name, what = "sends-100-mb", "a client sends 100 MB in one request"
    sites: ClassVar[Sequence[str]] = EVERYWHERE
    short, long = 0, 3
    cuts = False

    def induce(self, site: Site) -> None:
        body = json.dumps({"title": "made by a fault", "more": "x" * HUGE}).encode()
        way = site.through_the_link()
        connection = way.connection(120)
        try:
            connection.request("POST", "/session", body, way.headers())
            response = connection.getresponse()
            answer = response.read()
        finally:
            connection.close()
        if response.status != 200:
            raise RuntimeError(f"100 MB gave {response.status}: {answer[:200]!r}")


class ManyConnections(Fault):
    """As many connections as a link sees in weeks."""

    name, what = "10000-connections", "10,000 connections through one link, 16 at once"
    sites: ClassVar[Sequence[str]] = EVERYWHERE
    short, long = 0, 1
    cuts = False
    count = 10_000
    warm = 1000
    """After so many the link has all that it will need."""

    def __init__(self) -> None:
        self._memory: dict[str, float | str] = {}

    def induce(self, site: Site) -> None:
        way = site.through_the_link()

        def once(_number: int) -> int:
            return way.request("GET", "/global/health", seconds=60)[0]

        def use(count: int) -> float:
            with ThreadPoolExecutor(AT_ONCE) as pool:
                bad = [status for status in pool.map(once, range(count)) if status != 200]
            if bad:
                raise RuntimeError(f"{len(bad)} of {count} requests failed, first with {bad[0]}")
            return float(site.link.memory_info().rss / MEBIBYTE)

        step = (self.count - self.warm) // STEPS
        self._memory[f"MiB after {self.warm}"] = round(use(self.warm), 1)
        for number in range(1, STEPS + 1):
            self._memory[f"MiB after {self.warm + number * step}"] = round(use(step), 1)

    def figures(self) -> Mapping[str, float | str]:
        return self._memory
