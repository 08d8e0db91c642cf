"""Engines, hosts and clusters that are far away: `python -m benchmarks.distance FD MILLISECONDS ADDRESS` delays.

On one machine a request costs nothing, so that only the programs' own work is seen. What is used in earnest is some
milliseconds away, and a protocol that asks twice before it answers takes twice as long.
"""

import contextlib
import os
import queue
import shutil
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

ENGINE_VARIABLES = {"docker": "DOCKER_HOST", "podman": "CONTAINER_HOST"}
"""What leads to the engine."""


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


def serve(listener: socket.socket, address: str, seconds: float) -> None:
    """Delay every connection to HOST:PORT or to the path of a socket, until the process is ended."""
    while True:
        near, _ = listener.accept()
        far = dial(address)
        for one, other in ((near, far), (far, near)):
            if one.family != socket.AF_UNIX:
                one.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            threading.Thread(target=carry, args=(one, other, seconds), daemon=True).start()


def dial(address: str) -> socket.socket:
    if address.startswith("/"):
        far = socket.socket(socket.AF_UNIX)
        far.connect(address)
        return far
    host, _, port = address.rpartition(":")
    return socket.create_connection((host, int(port)))


@contextlib.contextmanager
def delayed(listener: socket.socket, address: str, milliseconds: float) -> Iterator[None]:
    """Have a program of its own carry what comes to a listener to an address, and delay it both ways."""
    number = listener.fileno()
    with subprocess.Popen(
        [sys.executable, "-m", "benchmarks.distance", str(number), str(milliseconds / 2), address],
        pass_fds=[number],
        cwd=CHECKOUT,
        stdin=subprocess.DEVNULL,
        start_new_session=True,
    ) as process:
        try:
            yield
        finally:
            process.kill()


@contextlib.contextmanager
def distant(place: Place, *, milliseconds: float) -> Iterator[Place]:
    """The same environment, of an engine, host or cluster whose answers take so many milliseconds longer."""
    with short_directory() as directory:
        if place.scheme in ENGINE_VARIABLES:
            listener, address, variables = far_engine(place, directory)
        else:
            listener = socket.create_server(("127.0.0.1", 0))
            prepare = far_host if place.scheme == "ssh" else far_cluster
            address, variables = prepare(place, listener.getsockname()[1], directory)
        with listener, delayed(listener, address, milliseconds):
            variables = {**place.environment.variables, **variables}
            yield replace(place, environment=replace(place.environment, variables=variables))


def far_engine(place: Place, directory: Path) -> tuple[socket.socket, str, dict[str, str]]:
    """A socket in the engine's place."""
    variable = ENGINE_VARIABLES[place.scheme]
    address = urlsplit(place.environment.variables[variable]).path
    path = directory / "engine.sock"
    listener = socket.socket(socket.AF_UNIX)
    listener.bind(str(path))
    listener.listen()
    return listener, address, {variable: f"unix://{path}"}


def far_host(place: Place, port: int, directory: Path) -> tuple[str, dict[str, str]]:
    """An `ssh` that goes to that port for the host, and knows it by the same key."""
    search = place.environment.variables["PATH"]
    ssh = shutil.which("ssh", path=search)
    said = dict(line.split(" ", 1) for line in place.run([str(ssh), "-G", place.target]).splitlines())
    there = f"-o HostName=127.0.0.1 -o Port={port} -o HostKeyAlias={said['hostname']}"
    shim = directory / "ssh"
    shim.write_text(f'#!/bin/sh\nexec {ssh} {there} "$@"\n')
    shim.chmod(0o755)
    return f"{said['hostname']}:{said['port']}", {"PATH": f"{directory}{os.pathsep}{search}"}


def far_cluster(place: Place, port: int, directory: Path) -> tuple[str, dict[str, str]]:
    """A kubeconfig that leads to that port for the cluster."""
    config = yaml.safe_load(Path(place.environment.variables["KUBECONFIG"]).read_text())
    cluster = config["clusters"][0]["cluster"]
    server = urlsplit(cluster["server"])
    cluster["tls-server-name"] = server.hostname
    cluster["server"] = f"https://127.0.0.1:{port}"
    path = directory / "kubeconfig"
    path.touch(0o600)
    path.write_text(yaml.safe_dump(config))
    variables = {**dict.fromkeys(("NO_PROXY", "no_proxy"), "127.0.0.1"), "KUBECONFIG": str(path)}
    return f"{server.hostname}:{server.port}", variables


def main() -> None:
    number, milliseconds, address = sys.argv[1:]
    serve(socket.socket(fileno=int(number)), address, float(milliseconds) / 1000)


if __name__ == "__main__":
    main()
