"""A cluster that is far away: `python -m benchmarks.distance FD HOST PORT MILLISECONDS` delays what it carries.

On one machine a request costs nothing, so that only the programs' own work is seen. A real cluster is some
milliseconds away, and a protocol that asks twice before it answers takes twice as long.
"""

import contextlib
import queue
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from urllib.parse import urlsplit

import yaml

from benchmarks.places import Place
from tests.rigs.directories import short_directory
from tests.rigs.opencode import CHECKOUT

CHUNK = 64 * 1024
HELD = 1024
"""Chunks on their way in one direction; a sender waits where there are more."""


def carry(source: socket.socket, target: socket.socket, seconds: float) -> None:
    """Hand on what comes, each piece after its time; returns at the end of the source."""
    underway: queue.Queue[tuple[float, bytes]] = queue.Queue(HELD)

    def arrive() -> None:
        with contextlib.suppress(OSError):
            while True:
                due, data = underway.get()
                time.sleep(max(0, due - time.monotonic()))
                if not data:
                    target.shutdown(socket.SHUT_WR)
                    return
                target.sendall(data)

    threading.Thread(target=arrive, daemon=True).start()
    with contextlib.suppress(OSError):
        while data := source.recv(CHUNK):
            underway.put((time.monotonic() + seconds, data))
    underway.put((time.monotonic() + seconds, b""))


def serve(listener: socket.socket, target: tuple[str, int], seconds: float) -> None:
    """Delay every connection, until the process is ended."""
    while True:
        near, _ = listener.accept()
        far = socket.create_connection(target)
        for one, other in ((near, far), (far, near)):
            one.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            threading.Thread(target=carry, args=(one, other, seconds), daemon=True).start()


@contextlib.contextmanager
def distant(place: Place, *, milliseconds: float) -> Iterator[Place]:
    """The same pod, of a cluster whose answers take so many milliseconds longer."""
    config = yaml.safe_load(Path(place.environment.variables["KUBECONFIG"]).read_text())
    cluster = config["clusters"][0]["cluster"]
    server = urlsplit(cluster["server"])
    with (
        short_directory() as directory,
        socket.create_server(("127.0.0.1", 0)) as listener,
        subprocess.Popen(
            [
                *(sys.executable, "-m", "benchmarks.distance", str(listener.fileno())),
                *(str(server.hostname), str(server.port), str(milliseconds / 2)),
            ],
            pass_fds=[listener.fileno()],
            cwd=CHECKOUT,
            stdin=subprocess.DEVNULL,
            start_new_session=True,
        ) as process,
    ):
        cluster["tls-server-name"] = server.hostname
        cluster["server"] = f"https://127.0.0.1:{listener.getsockname()[1]}"
        path = directory / "kubeconfig"
        path.touch(0o600)
        path.write_text(yaml.safe_dump(config))
        variables = {
            **place.environment.variables,
            **dict.fromkeys(("NO_PROXY", "no_proxy"), "127.0.0.1"),
            "KUBECONFIG": str(path),
        }
        try:
            yield replace(place, environment=replace(place.environment, variables=variables))
        finally:
            process.kill()


def main() -> None:
    number, host, port, milliseconds = sys.argv[1:]
    serve(socket.socket(fileno=int(number)), (host, int(port)), float(milliseconds) / 1000)


if __name__ == "__main__":
    main()
