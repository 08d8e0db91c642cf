"""Faults of the laptop itself: its disk, and another user of it."""

import signal
import subprocess
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import ClassVar

from tests.environments import Environment
from tests.faults.fault import Fault
from tests.faults.processes import kill
from tests.faults.site import NAME, Site
from tests.main_job.laptop import OCATTACH, Laptop, Ran
from tests.podman.account import Account
from tests.rigs.directories import short_directory
from tests.rigs.namespaces import run
from tests.rigs.waiting import wait_until

SIZE = "2m"
URI = "podman://frontend-app:/work"
MOUNT = "for place; do mount -t tmpfs -o size={size},mode=700 tmpfs $place; done; echo mounted; exec sleep infinity"


class OwnDisk(Laptop):
    """A laptop whose state and runtime directories are on a small disk of their own, seen by its programs alone."""

    def __init__(self, environment: Environment, variables: Mapping[str, str]) -> None:
        super().__init__(environment)
        self.variables = dict(variables)
        for folder in (self.state, self.runtime):
            folder.mkdir(mode=0o700, exist_ok=True)
        self._holder = subprocess.Popen(
            [
                *("setpriv", "--pdeathsig", "KILL", "unshare", "--mount", "--propagation", "private"),
                *("sh", "-ec", MOUNT.format(size=SIZE), "sh", str(self.state), str(self.runtime)),
            ],
            stdout=subprocess.PIPE,
            start_new_session=True,
        )
        assert self._holder.stdout is not None
        assert self._holder.stdout.readline() == b"mounted\n"

    def start(self, *arguments: str, variables: Mapping[str, str] | None = None) -> subprocess.Popen[str]:
        return subprocess.Popen(
            [*self.inside(), *OCATTACH, *arguments],
            env={**self.variables, **(variables or {})},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )

    def inside(self) -> list[str]:
        """Before a command, it makes it one that sees the disk."""
        return ["nsenter", "-t", str(self._holder.pid), "-m", f"--wd={self.cwd}", "--"]

    def sh(self, script: str) -> str:
        """Run shell text that sees the disk; $1 and $2 are state and runtime directory."""
        return run(*self.inside(), "sh", "-c", script, "sh", self.state, self.runtime)

    def close(self) -> None:
        """Let go of the disk; who still uses it keeps it."""
        self._holder.send_signal(signal.SIGKILL)
        self._holder.communicate()


class DiskFull(Fault):
    """The way to the environment is lost while nothing can be written here."""

    name, what = (
        "disk-full",
        "state and runtime directory full, then the way is lost; `ocattach NAME` meanwhile",
    )
    sites: ClassVar[Sequence[str]] = ("docker", "ssh")
    long = 5
    break_it = "for place; do cat /dev/zero >$place/fill 2>/dev/null; done; true"
    mend_it = "rm -f $1/fill $2/fill"

    def __init__(self) -> None:
        self._laptop: OwnDisk | None = None
        self._told: list[str] = []

    @contextmanager
    def prepared(self, site: Site) -> Iterator[None]:
        usual = site.laptop
        site.laptop = self._laptop = OwnDisk(site.environment, usual.variables)
        try:
            yield
        finally:
            self._laptop.end_links()
            self._laptop.close()
            site.laptop = usual

    def induce(self, site: Site) -> None:
        assert self._laptop is not None
        self._laptop.sh(self.break_it)
        kill(wait_until(lambda: site.relays() or site.sessions(), "a relay or a session"))
        meanwhile = self._laptop.run(NAME, "--print-url")
        self._told.append(told(meanwhile))

    def restore(self, site: Site) -> None:  # noqa: ARG002
        assert self._laptop is not None
        self._laptop.sh(self.mend_it)

    def figures(self) -> Mapping[str, float | str]:
        return {"`ocattach NAME` meanwhile": "; ".join(sorted(set(self._told)))}


class StateReadOnly(DiskFull):
    name, what = (
        "state-read-only",
        "state directory read-only, then the way is lost; `ocattach NAME` meanwhile",
    )
    short = 0
    simulated = "an empty disk lies over it: one with an open log cannot be made read-only"
    break_it = "mount -t tmpfs -o ro tmpfs $1"
    mend_it = "umount $1"


def told(ran: Ran) -> str:
    """What `ocattach` made of it, in a line."""
    if ran.exit_code == 0:
        return "worked"
    *_, last = ran.stderr.strip().splitlines() or [""]
    return f"exit {ran.exit_code}: {last}" if "Traceback" not in ran.stderr else f"Traceback: {last}"


class TwoUsers(Fault):
    """Root is connected by the socket of an ordinary user's podman, and that user by podman itself."""

    name, what = (
        "two-users",
        "another user's link to the same container is killed, and made again; ours goes on",
    )
    sites: ClassVar[Sequence[str]] = ("podman-rootless",)
    long = 10
    settles = 100  # as after the death of an engine: the other link has one of its own
    cuts = False

    def __init__(self) -> None:
        self._account: Account | None = None
        self._daemons: set[int] = set()

    @contextmanager
    def prepared(self, site: Site) -> Iterator[None]:
        with short_directory() as directory:
            self._account = Account(site.engine, directory)
            self._connect()
            try:
                yield
            finally:
                self.finish(site)

    def induce(self, site: Site) -> None:
        account = self._account
        assert account is not None
        kill(account.links())
        wait_until(lambda: not account.links(), "the link to end")
        self._connect()
        self._daemons.add(site.document["daemon"]["pid"])

    def finish(self, site: Site) -> None:  # noqa: ARG002
        assert self._account is not None
        self._account.ocattach(URI, "--disconnect")

    def _connect(self) -> None:
        assert self._account is not None
        self._daemons.add(self._account.connect(URI)["daemon"]["pid"])

    def figures(self) -> Mapping[str, float | str]:
        return {"daemons that both saw": len(self._daemons)}
