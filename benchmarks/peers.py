"""Other programs that do a part of the work, side by side: what is installed of them here.

A peer that is not installed is left out: `autossh` (Debian), `mngr` (pip install imbue-mngr), `devcontainer`
(@devcontainers/cli; the tests' own copy is used). mngr makes its environments itself and cannot use one that exists, so
it lists none. ocattach gets the name of a connection, where the others have to be told the port and the password.
After a loss: from SIGKILL of the session's sshd to the next answer at the same local port, asked again every 10 ms.
"""

import base64
import http.client
import json
import os
import shutil
import subprocess
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, cast

from benchmarks.by_hand import HEALTH, SSHByHand, free_port, is_open
from benchmarks.cold import timed
from benchmarks.figures import Figure, take_turns
from benchmarks.places import NAME, OCATTACH, Place, Places, milliseconds
from tests.faults.sites import sshd_sessions
from tests.main_job.test_terminal import READY
from tests.rigs.directories import short_directory
from tests.rigs.opencode import CHECKOUT, opencode_bin
from tests.rigs.ssh import SSHMachines
from tests.rigs.terminal import Terminal
from tests.rigs.waiting import wait_until

DEVCONTAINER = CHECKOUT / ".tools/devcontainers/devcontainer.js"
SECONDS = 60


@dataclass(frozen=True, slots=True)
class Access:
    """Where a daemon answers on this machine, and with which credentials."""

    port: int
    authorization: str

    def answers(self) -> bool:
        """Whether the daemon's health can be read now."""
        client = http.client.HTTPConnection("127.0.0.1", self.port, timeout=SECONDS)
        try:
            client.request("GET", HEALTH, headers={"Authorization": self.authorization})
            return client.getresponse().status == http.client.OK
        except (OSError, http.client.HTTPException):
            return False
        finally:
            client.close()


Way = Callable[[ExitStack], Access]
"""Opens a way to the daemon that lasts as long as the stack."""


def measure(places: Places, repetitions: int) -> Iterator[Figure]:
    """Each part of the work, against each peer that does it."""
    for place in places.available("docker"):
        yield from containers(place, repetitions)
    for place in places.available("local"):
        yield from on_this_machine(place, repetitions)
    for place in places.available("ssh"):
        machines = cast("SSHMachines", places.getfixturevalue("ssh_machines"))
        yield from over_ssh(place, machines, repetitions)


def containers(place: Place, repetitions: int) -> Iterator[Figure]:
    """One command in a running container."""
    place.connect()
    ways = {
        "ours": [*OCATTACH, "exec", NAME, "--", "true"],
        "docker exec": place.exec("true"),
    }
    if DEVCONTAINER.exists():
        there = ["exec", "--container-id", place.target, "true"]
        ways["devcontainer exec"] = ["node", str(DEVCONTAINER), *there]
    yield from against(
        "docker: a command in a running container",
        {name: partial(run, place, argv) for name, argv in ways.items()},
        repetitions,
    )


def on_this_machine(place: Place, repetitions: int) -> Iterator[Figure]:
    """The list of what there is, and the TUI."""
    lists = {"ours": partial(run, place, [*OCATTACH, "--list"])}
    if shutil.which("mngr"):
        lists["mngr list --local"] = partial(
            run, place, ["mngr", "list", "--local"], {"PATH": os.environ["PATH"]}
        )
    yield from against("the list of environments", lists, repetitions)
    document = place.connect()
    attach = [opencode_bin(), "attach", document["url"], "--dir", place.environment.workdir]
    password = {"OPENCODE_SERVER_PASSWORD": document["password"]}
    password |= {"OPENCODE_SERVER_USERNAME": document["username"]}
    yield from against(
        "local: to the TUI's first screen, daemon running",
        {
            "ours": partial(first_screen, place, [*OCATTACH, NAME], {}),
            "opencode attach": partial(first_screen, place, attach, password),
        },
        repetitions,
    )


def over_ssh(place: Place, machines: SSHMachines, repetitions: int) -> Iterator[Figure]:
    """To the first answer of a daemon on a host, and to the next one after a loss."""
    place.connect()
    hand = SSHByHand(place)
    authorization = hand.find().authorization
    ways: dict[str, Way] = {
        "ours": partial(by_ocattach, place),
        "ssh -L": partial(by_ssh, place, ["ssh"], hand.find().port, authorization),
    }
    if shutil.which("autossh"):
        ways["autossh"] = partial(by_ssh, place, ["autossh", "-M0"], hand.find().port, authorization)
    place.disconnect()
    yield from against(
        "ssh: to the first answer of a running daemon",
        {name: partial(first_answer, way) for name, way in ways.items()},
        repetitions,
    )
    ways.pop("ssh -L")  # it ends with its connection
    yield from against(
        "ssh: after a loss",
        {name: partial(after_loss, way, machines) for name, way in ways.items()},
        repetitions,
    )


def against(what: str, ways: Mapping[str, Callable[[], float]], repetitions: int) -> Iterator[Figure]:
    """One line for each peer."""
    times = take_turns(repetitions, ways)
    ours = times.pop("ours")
    for name, others in times.items():
        yield Figure(what, "ms", ours, name, others)


def run(place: Place, argv: list[str], variables: Mapping[str, str] | None = None) -> float:
    """Milliseconds that a command takes."""
    return timed(lambda: place.run(argv, variables=variables))


def first_screen(place: Place, argv: list[str], variables: Mapping[str, str]) -> float:
    """Milliseconds to a TUI that can be typed into."""
    with short_directory() as directory:
        begun = time.perf_counter()
        with Terminal(
            argv,
            directory=directory,
            environment={**place.environment.variables, **variables},
            cwd=place.laptop.cwd,
        ) as opened:
            wait_until(lambda: READY in opened.screen(), "the TUI", timeout=SECONDS)
            return milliseconds(begun)


def first_answer(way: Way) -> float:
    """Milliseconds to the first answer."""
    begun = time.perf_counter()
    with ExitStack() as stack:
        access = way(stack)
        wait_until(access.answers, "the daemon", timeout=SECONDS)
        return milliseconds(begun)


def after_loss(way: Way, machines: SSHMachines) -> float:
    """Milliseconds from a loss to the next answer."""
    with ExitStack() as stack:
        access = way(stack)
        wait_until(access.answers, "the daemon", timeout=SECONDS)
        for session in wait_until(lambda: sshd_sessions(machines["main"]), "the session"):
            session.kill()
        begun = time.perf_counter()
        wait_until(access.answers, "the daemon again", timeout=SECONDS)
        return milliseconds(begun)


def by_ocattach(place: Place, stack: ExitStack) -> Access:
    """By the name of a connection."""
    document: dict[str, Any] = json.loads(place.ocattach(NAME, "--print-url", "-o", "json"))
    stack.callback(place.disconnect)
    credentials = f"{document['username']}:{document['password']}".encode()
    port = int(document["url"].rpartition(":")[2])
    return Access(port, f"Basic {base64.b64encode(credentials).decode()}")


def by_ssh(place: Place, program: list[str], port: int, authorization: str, stack: ExitStack) -> Access:
    """By a forwarded port, with the daemon's own password."""
    local = free_port()
    process = stack.enter_context(
        subprocess.Popen(
            [*program, "-NL", f"127.0.0.1:{local}:127.0.0.1:{port}", place.target],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            env={**place.environment.variables, **autossh_variables(place)},
        )
    )
    stack.callback(process.terminate)  # autossh ends its ssh then
    wait_until(lambda: is_open(local), "the port")
    return Access(local, authorization)


def autossh_variables(place: Place) -> Mapping[str, str]:
    """Let autossh use the `ssh` that knows the host, and try again at once."""
    program = shutil.which("ssh", path=place.environment.variables["PATH"])
    return {"AUTOSSH_PATH": str(Path(str(program))), "AUTOSSH_GATETIME": "0"}
