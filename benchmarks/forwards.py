"""`ocattach forward`: a page of 10 MB and a new connection, against `kubectl port-forward` and `ssh -L`."""

import http.client
import json
import statistics
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial

from benchmarks.by_hand import FORWARD, forward
from benchmarks.far_end import far_end
from benchmarks.figures import Figure, take_turns
from benchmarks.places import NAME, OCATTACH, Place, Places, milliseconds
from benchmarks.traffic import SECONDS, by_port, open_one

PAGE = 10_000_000
CONNECTIONS = 20


def measure(places: Places, repetitions: int) -> Iterator[Figure]:
    """The same server in the environment, through both at once and in turns."""
    for place in places.available("ssh", "k8s"):
        with (
            far_end(place.environment.network) as port,
            forwarded(place, port) as ours,
            forward(place, port) as theirs,
        ):
            ports = {"ours": ours, "theirs": theirs.port}
            pages = take_turns(repetitions, {who: partial(page, local) for who, local in ports.items()})
            opened = take_turns(
                repetitions, {who: partial(connection, local) for who, local in ports.items()}
            )
        by_hand = " ".join(FORWARD[place.scheme][:2])
        yield Figure(f"{place.scheme}: page of 10 MB", "ms", pages["ours"], by_hand, pages["theirs"])
        yield Figure(f"{place.scheme}: new connection", "ms", opened["ours"], by_hand, opened["theirs"])


@contextmanager
def forwarded(place: Place, port: int) -> Iterator[int]:
    """The local port of `ocattach forward`."""
    with subprocess.Popen(
        [*OCATTACH, "forward", NAME, str(port), "-o", "json"],
        stdout=subprocess.PIPE,
        env=place.environment.variables,
        text=True,
    ) as process:
        try:
            printed = ""
            while process.stdout and not printed.endswith("\n}\n") and (line := process.stdout.readline()):
                printed += line
            yield int(json.loads(printed)["forwards"][0]["local"])
        finally:
            process.kill()


def page(local: int) -> float:
    """Milliseconds of a request on a connection of its own."""
    begun = time.perf_counter()
    client = http.client.HTTPConnection("127.0.0.1", local, timeout=SECONDS)
    client.request("GET", f"/{PAGE}")
    if len(client.getresponse().read()) != PAGE:
        raise RuntimeError("the page was cut")
    client.close()
    return milliseconds(begun)


def connection(local: int) -> float:
    """Milliseconds to the first byte of a new connection, the median of several."""
    return statistics.median(open_one(by_port(local)) for _ in range(CONNECTIONS))
