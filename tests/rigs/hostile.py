"""Programs of an environment that means harm, or is broken beyond what anybody thought of.

Each takes the place of the shell, of OpenCode or of the daemon, and every way in leads its bytes to us.
They are plain sh, so that busybox runs them.
"""

import itertools
import json
import socket
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path

from tests.environments import Environment
from tests.rigs.docker import DockerEngine
from tests.rigs.machine import USER
from tests.rigs.ssh import SSHMachines

ESCAPES = r"\033]0;owned\007\033[2J\033[?1049h\033[31m\r\010\033Pq\033\\"
"""For printf: a window title, an erased screen, another screen, a colour, and more."""

REPORT = r"echo ocattach:output; read -r _ mark; printf '%s probe=1\n' $mark"
"""The beginning of a report as our own scripts make it, with the mark they are given. The first line is for ssh."""

SHELLS = {
    "floods stdout": "exec yes flood",
    "floods stderr": "exec yes flood >&2",
    "never returns": "exec sleep 1000",
    "ends at once": "exit 0",
    "drives the terminal": f"printf '{ESCAPES}'; printf '{ESCAPES}' >&2; exit 1",
    "drives the terminal by its report": (
        f"{REPORT}; for key in system home user tried; do printf '%s %s={ESCAPES}\\n' $mark $key; done;"
        "echo $mark home_writable=yes; echo $mark end=1"
    ),
    "names a directory that drives the terminal": (
        f"{REPORT}; printf '%s workdir=/{ESCAPES}\\n%s end=1\\n' $mark $mark"
    ),
    "reports megabytes": f"{REPORT}; yes $mark tried=/long | head -c 4000000; echo $mark end=1",
    "reports a daemon of no sense": (
        f"{REPORT}; echo $mark daemon=found ² 99999999999999999999999 zz - -;"
        "printf '%s daemon=found 12 %s 0100007F - -\\n' $mark $(yes 9 | head -c 9999 | tr -d '\\n');"
        f"printf '%s daemon=found 12 0 {ESCAPES} - -\\n%s end=1\\n' $mark $mark"
    ),
}
"""Shells by what they do to whoever runs a command in them."""

OPENCODE = """\
#!/bin/sh
[ -n "$BUN_BE_BUN" ] || {{ echo "opencode server listening on http://127.0.0.1:{port}"; exec sleep 1000; }}
{relay}
"""
BANNER = r"printf '\000ocattach-relay 1\n'"
RELAYS = {
    "never announces itself": "exec sleep 1000",
    "floods": "exec yes flood",
    "floods stderr": "exec yes flood >&2",
    "speaks another version": r"printf '\000ocattach-relay 99\n'; exec sleep 1000",
    "ends in the middle of a frame": rf"{BANNER}; printf '\003\000\000\000\001\000\001\000\000half'; exit 0",
    "stops in the middle of a frame": rf"{BANNER}; printf '\003\000\000\000\001\000\001\000\000half'; exec sleep 1000",
    "sends a frame too large": rf"{BANNER}; printf '\003\000\000\000\001\377\377\377\377'; exec cat /dev/zero",
    "reads nothing": f"{BANNER}; exec sleep 1000",
    "drives the terminal": f"printf '{ESCAPES}'; printf '{ESCAPES}' >&2; exit 1",
}
"""Relays by what they do, in the place of OpenCode's."""


@contextmanager
def hostile_shell(
    scheme: str,
    environment: Environment,
    behaviour: str,
    *,
    engine: DockerEngine | None = None,
    machines: SSHMachines | None = None,
) -> Iterator[None]:
    """Have the environment's shell behave like that, while the block runs."""
    # Elsewhere the script comes on the first line of the input.
    script = (
        SHELLS[behaviour] if scheme == "local" else SHELLS[behaviour].replace(REPORT, f"read -r _; {REPORT}")
    )
    if scheme == "local":
        place(environment.laptop.parent / "bin/sh", f"#!/bin/sh\n{script}\n")
        yield
    elif scheme == "docker":
        assert engine is not None
        shell = environment.home.parent / "bin/sh"
        shell.unlink()
        place(shell, f"#!/bin/busybox sh\n{script}\n")
        yield
    else:
        assert machines is not None
        place(environment.home / "shell", f"#!/bin/sh\n{script}\n")
        accounts = machines["main"].confined.path("/etc/passwd")
        before = accounts.read_text()
        own = next(line for line in before.splitlines() if line.startswith(f"{USER}:"))
        home = own.split(":")[5]
        accounts.write_text(before.replace(own, f"{own.rpartition(':')[0]}:{home}/shell"))
        try:
            yield
        finally:
            accounts.write_text(before)


def hostile_opencode(environment: Environment, *, port: int, relay: str) -> str:
    """An opencode whose daemon is whatever listens on the port; its path in the environment, from the home."""
    place(environment.home / "hostile/opencode", OPENCODE.format(port=port, relay=relay))
    return "~/hostile/opencode"


def place(path: Path, text: str) -> None:
    """Put a program somewhere."""
    path.parent.mkdir(exist_ok=True)
    path.write_text(text)
    path.chmod(0o755)


def http(*pieces: Iterable[bytes], pause: float = 0) -> Callable[[socket.socket], None]:
    """A daemon that answers every request with these bytes."""

    def answer(connection: socket.socket) -> None:
        connection.recv(65536)
        for piece in itertools.chain(*pieces):
            connection.sendall(piece)
            if pause:
                time.sleep(pause)

    return answer


def by_path(**bodies: tuple[int, object]) -> Callable[[socket.socket], None]:
    """A daemon that answers each path, whose first word names it, with a status and JSON."""

    def answer(connection: socket.socket) -> None:
        request = connection.recv(65536)
        if not request:  # somebody only wanted to know whether anybody listens
            return
        path = request.split(b" ")[1].decode()
        status, content = next((bodies[name] for name in bodies if name in path), (404, {}))
        body = json.dumps(content).encode()
        head = f"HTTP/1.1 {status} X\r\nContent-Type: application/json\r\nContent-Length: {len(body)}\r\n\r\n"
        connection.sendall(head.encode() + body)

    return answer


RAW_ESCAPES = "\x1b]0;owned\x07\x1b[2J\x1b[?1049h\r\x08"
HEAD = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n"
MEGABYTES = b"x" * 65536
HEALTHY = (200, {"healthy": True, "version": "1.18.33"})

DAEMONS = {
    "body without end": http([HEAD, b"\r\n"], itertools.repeat(MEGABYTES)),
    "body byte by byte": http([HEAD, b"\r\n"], itertools.repeat(b"x"), pause=0.1),
    "body of one huge chunk": http(
        [HEAD, b"Transfer-Encoding: chunked\r\n\r\nFFFFFFFFFF\r\n"], itertools.repeat(MEGABYTES)
    ),
    "chunks without end": http(
        [HEAD, b"Transfer-Encoding: chunked\r\n\r\n"], itertools.repeat(b"1\r\nx\r\n" * 1000)
    ),
    "a chunk size without end": http(
        [HEAD, b"Transfer-Encoding: chunked\r\n\r\n"], itertools.repeat(b"0" * 65536)
    ),
    "headers without end": http([HEAD], itertools.repeat(b"X-More: x\r\n" * 1000)),
    "a header without end": http([HEAD, b"X-More: "], itertools.repeat(MEGABYTES)),
    "headers byte by byte": http([HEAD], itertools.repeat(b"x"), pause=0.1),
    "continue, continue": http(itertools.repeat(b"HTTP/1.1 100 Continue\r\n\r\n")),
    "brackets without end": http([HEAD, b"Content-Length: 1000000\r\n\r\n", b"[" * 1_000_000]),
    "no HTTP": http([b"SSH-2.0-nothing\r\n" * 1000]),
    "a version of escapes": by_path(health=(200, {"version": f"1.18.33{RAW_ESCAPES}"})),
    "a version of megabytes": by_path(health=(200, {"version": "1" * 4_000_000})),
    "a configuration error of escapes": by_path(
        health=HEALTHY,
        session=(
            400,
            {
                "name": "ConfigInvalidError",
                "data": {"path": RAW_ESCAPES, "issues": [{"message": RAW_ESCAPES * 99999}]},
            },
        ),
    ),
    "an error of escapes": by_path(health=HEALTHY, session=(500, {"name": RAW_ESCAPES})),
}
"""Daemons by their answers."""
