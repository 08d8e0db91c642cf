"""Programs in Linux namespaces of their own: one SIGKILL ends a program and all that is its own.

That makes real engines fit for tests: dockerd or sshd has the machine for itself, as far as it can see, and
whatever a test did to it is gone afterwards. Needs root.
"""

import ctypes
import os
import select
import socket
import subprocess
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from shutil import which
from typing import TypeVar

from tests.rigs.availability import Unavailable, need
from tests.rigs.waiting import wait_until

T = TypeVar("T")

CLONE_NEWNET = 0x40000000
INIT_PROGRAMS = ("docker-init", "catatonit", "tini")
PROGRAMS = ("unshare", "setpriv", "nsenter", "ip", "mount", "hostname")
_libc = ctypes.CDLL(None, use_errno=True)


def init_program() -> str:
    """A program fit to be process 1: it reaps what nobody waits for."""
    for name in INIT_PROGRAMS:
        try:
            need(name)
        except Unavailable:
            continue
        return name
    raise Unavailable(f"not installed: one of {', '.join(INIT_PROGRAMS)}")


def run(*argv: str | Path) -> str:
    """Run a command of the rig to its end; RuntimeError with what it said when it fails."""
    done = subprocess.run([str(word) for word in argv], capture_output=True, text=True, check=False)
    if done.returncode:
        raise RuntimeError(f"{' '.join(map(str, argv))}: {done.stderr or done.stdout}")
    return done.stdout


@dataclass(frozen=True, slots=True)
class Network:
    """The network that a process sees, found by the process's directory in some /proc."""

    process: Path

    @property
    def namespace(self) -> Path:
        """What `nsenter --net=` takes."""
        return self.process / "ns/net"

    def dial(self, port: int, host: str = "127.0.0.1", *, timeout: float = 1) -> socket.socket:
        """A TCP connection made inside; the socket works from here."""
        return self._inside(lambda: socket.create_connection((host, port), timeout))

    def listen(self, port: int, host: str = "127.0.0.1", *, uid: int = 0) -> socket.socket:
        """A listening socket made inside, for an account; who accepts from it here serves the programs there."""

        def listen() -> socket.socket:
            if ":" in host:  # engines switch IPv6 off in networks without addresses of it
                Path("/proc/sys/net/ipv6/conf/lo/disable_ipv6").write_text("0")
            ctypes.CDLL(None).setfsuid(
                uid
            )  # a socket belongs to the thread's user for files (socket(7), credentials(7))
            family = socket.AF_INET6 if ":" in host else socket.AF_INET
            return socket.create_server((host, port), family=family, backlog=128)

        return self._inside(listen)

    def _inside(self, action: Callable[[], T]) -> T:
        answers: list[T] = []
        errors: list[BaseException] = []

        def work() -> None:
            try:
                enter_network(self.namespace)
                answers.append(action())
            except BaseException as error:  # noqa: BLE001  it is raised again, in the caller's thread
                errors.append(error)

        # setns moves a single thread, and this one ends before anybody else can use it.
        thread = threading.Thread(target=work)
        thread.start()
        thread.join()
        if errors:
            raise errors[0]
        return answers[0]


def enter_network(namespace: Path) -> None:
    """Move the calling thread into a network namespace."""
    descriptor = os.open(namespace, os.O_RDONLY)
    try:
        if _libc.setns(descriptor, CLONE_NEWNET):
            raise OSError(ctypes.get_errno(), f"setns {namespace}")
    finally:
        os.close(descriptor)


class Confined:
    """A running program with its own mounts, processes and /run; where asked, its own network and hostname.

    Start it from the main thread: the kernel ends it together with the thread that started it.
    """

    def __init__(
        self,
        argv: Sequence[str | Path],
        *,
        log: Path,
        network: bool = True,
        hostname: str | None = None,
        setup: str = "",
        environment: Mapping[str, str] | None = None,
    ) -> None:
        """Start argv; setup is shell text that runs inside before it, as root, with an empty /run."""
        lines = ["mount -t tmpfs -o mode=755 tmpfs /run"]
        lines += ["ip link set lo up"] if network else []
        lines += [f"hostname {hostname}"] if hostname else []
        lines += [setup, f'exec {init_program()} -- "$@"']
        flags = [*(["--net"] if network else []), *(["--uts"] if hostname else [])]
        with log.open("ab") as output:
            self._process = subprocess.Popen(
                [*_UNSHARE, *flags, "sh", "-ec", "\n".join(lines), "sh", *map(str, argv)],
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=output,
                start_new_session=True,
                env=environment,
            )
        self._log = log
        self._init: tuple[int, int] | None = None

    @property
    def pid(self) -> int:
        """The namespace's process 1, as numbered here; whoever enters finds everything set up."""
        if self._init is None:
            pid = wait_until(self._settled_child, "a namespace to be set up")
            self._init = pid, os.pidfd_open(pid)
        return self._init[0]

    @property
    def network(self) -> Network:
        """The network inside."""
        return Network(Path(f"/proc/{self.pid}"))

    def path(self, inside: str | Path) -> Path:
        """A path of the program's file system, as a path that can be opened here."""
        return Path(f"/proc/{self.pid}/root/{str(inside).lstrip('/')}")

    def has_ended(self) -> bool:
        """Whether the program is no more."""
        return self._process.poll() is not None

    def report(self) -> str:
        """The end of what the program has logged."""
        return self._log.read_text(errors="replace")[-3000:]

    def kill(self) -> None:
        """End everything inside, and return when nothing of it is left. Killing twice is harmless."""
        self._process.kill()
        self._process.wait()
        if self._init is not None:
            descriptor = self._init[1]
            self._init = None
            # Process 1 ends last: when it has, no process and no mount of the namespaces remains.
            poll = select.poll()
            poll.register(descriptor, select.POLLIN)
            poll.poll(10_000)
            os.close(descriptor)

    def _settled_child(self) -> int | None:
        pid = self._first_child()
        # The shell that sets up becomes the init program when it is done.
        return pid if pid is not None and self._runs_init(pid) else None

    def _runs_init(self, pid: int) -> bool:
        try:
            return Path(f"/proc/{pid}/exe").samefile(which(init_program()) or "")
        except OSError:
            return False

    def _first_child(self) -> int | None:
        children = Path(f"/proc/{self._process.pid}/task/{self._process.pid}/children")
        try:
            pids = children.read_text().split()
        except OSError:
            pids = []
        if not pids and self.has_ended():
            raise RuntimeError(f"ended at once: {self.report()}")
        return int(pids[0]) if pids else None


@contextmanager
def named_network(name: str, log: Path) -> Iterator[Network]:
    """A network under a name of ip-netns(8): a symbolic link, which leads nowhere once the test run has ended."""
    need(*PROGRAMS, root=True)
    confined = Confined(["sleep", "infinity"], log=log)
    link = Path("/run/netns", name)
    try:
        link.parent.mkdir(exist_ok=True)
        link.symlink_to(confined.network.namespace)
        yield confined.network
    finally:
        link.unlink(missing_ok=True)
        confined.kill()


_UNSHARE = (
    *("setpriv", "--pdeathsig", "KILL"),
    *(
        "unshare",
        "--mount",
        "--pid",
        "--fork",
        "--kill-child=KILL",
        "--mount-proc",
        "--propagation",
        "private",
    ),
)
