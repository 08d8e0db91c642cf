"""The same work without ocattach: what a person types, who knows exactly what to type and loses no time between.

They read the port and the password where ocattach has recorded them, which is less work than looking through
`ps` and `ss` for a daemon that somebody else has started.

docker, at least   docker exec NAME wget … /global/health        the port and the password are known
docker, in all     docker inspect NAME                           is it running?
                   docker exec NAME sh -c 'cat …/ocattach/*/daemon'
                   docker exec -i NAME nc 127.0.0.1 PORT         /global/health; a container has no other way in
                   docker exec -i NAME nc 127.0.0.1 PORT         /session, which shows a broken configuration
podman             the same, by podman
ssh, at least      ssh -fNL …:PORT HOST; curl … /global/health   the port and the password are known
ssh, in all        ssh HOST 'cat …/ocattach/*/daemon'
                   ssh -fNL …:PORT HOST; curl … /global/health; curl … /session
k8s, at least      kubectl port-forward NAME …:PORT; curl … /global/health
k8s, in all        kubectl get pod NAME                          is it running?
                   kubectl exec NAME -- sh -c 'cat …/ocattach/*/daemon'
                   kubectl port-forward NAME …:PORT; curl … /global/health; curl … /session
"""

import base64
import socket
import subprocess
from abc import ABC, abstractmethod
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from urllib.parse import quote

import psutil

from benchmarks.places import Place
from tests.rigs.waiting import wait_until

FIND = 'cat "${XDG_STATE_HOME:-$HOME/.local/state}"/ocattach/*/daemon'
HEALTH = "/global/health"


@dataclass(frozen=True, slots=True)
class Daemon:
    """A daemon that a person knows how to use."""

    port: int
    password: str

    @property
    def authorization(self) -> str:
        """The header's value."""
        return "Basic " + base64.b64encode(f"opencode:{self.password}".encode()).decode()


class ByHand(ABC):
    """The way into one environment, by hand."""

    least: str
    """The commands of `minimum`, in short."""

    most: str
    """The commands of `whole`, in short."""

    def __init__(self, place: Place) -> None:
        self.place = place
        self.sessions = f"/session?limit=1&directory={quote(place.environment.workdir, safe='')}"

    @abstractmethod
    def minimum(self, daemon: Daemon) -> None:
        """Reach a daemon whose port and password are known; one request."""

    @abstractmethod
    def whole(self) -> None:
        """Find the daemon, get a way in, see that it is healthy and serves the working directory."""

    def find(self) -> Daemon:
        """Where the daemon is, as it is recorded in the environment."""
        text = self.place.run(self.place.exec("sh", "-c", FIND))
        recorded = dict(line.split("=", 1) for line in text.splitlines())
        return Daemon(int(recorded["port"]), recorded["password"])

    def tidy(self) -> None:
        """Take back what the last one left running; not part of the work."""
        return


class ContainerByHand(ByHand):
    """By the docker or the podman command, and what busybox has."""

    def __init__(self, place: Place) -> None:
        super().__init__(place)
        self.least = f"{place.scheme} exec wget health"
        self.most = f"{place.scheme} inspect, exec cat, exec nc health, exec nc session"

    def minimum(self, daemon: Daemon) -> None:
        """One exec that asks for the health."""
        url = f"http://127.0.0.1:{daemon.port}{HEALTH}"
        header = f"Authorization: {daemon.authorization}"
        seen(self.place.run(self.place.exec("wget", "-qO-", "--header", header, url)))

    def whole(self) -> None:
        """Four commands, each of which needs what the one before has told."""
        self.place.run([self.place.scheme, "inspect", "--format", "{{.State.Status}}", self.place.target])
        daemon = self.find()
        for path in (HEALTH, self.sessions):
            seen(self._through_netcat(daemon, path))

    def _through_netcat(self, daemon: Daemon, path: str) -> str:
        argv = self.place.exec("nc", "127.0.0.1", str(daemon.port), stdin=True)
        headers = f"Host: x\r\nConnection: close\r\nAuthorization: {daemon.authorization}\r\n\r\n"
        return self.place.run(argv, stdin=f"GET {path} HTTP/1.1\r\n{headers}")


class ForwardedByHand(ByHand):
    """By a port that is forwarded, and curl."""

    def minimum(self, daemon: Daemon) -> None:
        """A forwarded port, and a request through it."""
        self._get(self.forward(daemon), daemon, HEALTH)

    def whole(self) -> None:
        """Find it, then two requests through a forwarded port."""
        daemon = self.find()
        local = self.forward(daemon)
        for path in (HEALTH, self.sessions):
            self._get(local, daemon, path)

    @abstractmethod
    def forward(self, daemon: Daemon) -> int:
        """A local port that leads to the daemon's until `tidy`."""

    def _get(self, local: int, daemon: Daemon, path: str) -> None:
        url = f"http://127.0.0.1:{local}{path}"
        header = f"Authorization: {daemon.authorization}"
        seen(self.place.run(["curl", "--noproxy", "*", "-fsS", "-H", header, url]))


class SSHByHand(ForwardedByHand):
    """By ssh, which goes into the background once the port is open."""

    least = "ssh -fNL, curl health"
    most = "ssh cat, ssh -fNL, curl health, curl session"

    def __init__(self, place: Place) -> None:
        super().__init__(place)
        self._forwarding = ""

    def forward(self, daemon: Daemon) -> int:
        """One connection."""
        local = free_port()
        self._forwarding = f"127.0.0.1:{local}:127.0.0.1:{daemon.port}"
        argv = ["ssh", "-o", "ExitOnForwardFailure=yes", "-fNL", self._forwarding, self.place.target]
        # What goes into the background keeps the output open: a pipe would wait for it.
        subprocess.run(argv, stdin=subprocess.DEVNULL, env=self.place.environment.variables, check=True)
        return local

    def tidy(self) -> None:
        """End the ssh in the background."""
        for process in psutil.process_iter(["cmdline"]):
            if self._forwarding and self._forwarding in (process.info["cmdline"] or []):
                process.kill()


class KubernetesByHand(ForwardedByHand):
    """By kubectl."""

    least = "kubectl port-forward, curl health"
    most = "kubectl get, exec cat, port-forward, curl health, curl session"

    def __init__(self, place: Place) -> None:
        super().__init__(place)
        self._forwarding = ExitStack()

    def whole(self) -> None:
        """See that it runs, too."""
        self.place.run(["kubectl", "get", "pod", self.place.target, "--output=jsonpath={.status.phase}"])
        super().whole()

    def forward(self, daemon: Daemon) -> int:
        """A program that says when the port is open, and stays."""
        return self._forwarding.enter_context(forward(self.place, daemon.port)).port

    def tidy(self) -> None:
        """End the kubectl that forwards."""
        self._forwarding.close()


BY_HAND: dict[str, type[ByHand]] = {
    "docker": ContainerByHand,
    "k8s": KubernetesByHand,
    "podman": ContainerByHand,
    "ssh": SSHByHand,
}


def seen(answer: str) -> None:
    """See that it is an answer of the daemon."""
    if "healthy" not in answer and "[" not in answer:
        raise RuntimeError(f"no answer of a daemon: {answer!r}")


def free_port() -> int:
    """A port of this machine's loopback that nobody has at the moment."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        port: int = server.getsockname()[1]
        return port


@dataclass(frozen=True, slots=True)
class Forwarding:
    """A program that forwards a port."""

    port: int
    """The local one, open."""

    pid: int


FORWARD = {
    "k8s": ["kubectl", "port-forward", "pod/{target}", "{local}:{port}"],
    "ssh": ["ssh", "-NL", "127.0.0.1:{local}:127.0.0.1:{port}", "{target}"],
}


@contextmanager
def forward(place: Place, port: int) -> Iterator[Forwarding]:
    """`ssh -NL` or `kubectl port-forward` for as long as it is needed."""
    local = free_port()
    words = {"local": local, "port": port, "target": place.target}
    with subprocess.Popen(
        [word.format_map(words) for word in FORWARD[place.scheme]],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,  # kubectl tells of each connection that was reset
        env=place.environment.variables,
    ) as process:
        try:
            wait_until(lambda: is_open(local), f"{' '.join(FORWARD[place.scheme][:2])} to open its port")
            yield Forwarding(local, process.pid)
        finally:
            process.kill()


def is_open(port: int) -> bool:
    """Whether something listens at a port of this machine's loopback."""
    with socket.socket() as attempt:
        return not attempt.connect_ex(("127.0.0.1", port))
