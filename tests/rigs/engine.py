"""What the container engines under test have in common: a daemon in namespaces, a client, containers."""

import re
import socket
from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any, ClassVar, Self

import docker
import docker.errors

from tests.rigs import cgroups, images
from tests.rigs.availability import need, need_static
from tests.rigs.container import ContainerRig
from tests.rigs.daemons import Daemon
from tests.rigs.namespaces import PROGRAMS, Confined, init_program
from tests.rigs.opencode import ENVIRONMENT, opencode_bin, opencode_config
from tests.rigs.waiting import wait_until


class ContainerEngine(ABC):
    """An engine in namespaces of its own; containers have no way out to any network.

    `stop` and `start` are for tests of an engine that is down: its containers end, and are known again after.
    One that is `apart` from its machine can also `crash`, when its containers go on, and be `revive`d.
    """

    program: ClassVar[str]
    """What is started."""

    needed: ClassVar[Sequence[str]]
    """The programs that it cannot do without, besides itself."""

    call_pattern: ClassVar[re.Pattern[str]]
    """Finds method and path of each API call in the log."""

    def __init__(self, directory: Path, *, apart: bool = False) -> None:
        """Keep everything below this directory, whose path has to be short."""
        need(*PROGRAMS, self.program, *self.needed, "runc", "busybox", "ldd", root=True)
        need_static(images.BUSYBOX, "busybox-static")
        init_program()
        self.directory = directory
        self.log = directory / "engine.log"
        self.cgroup = cgroups.new_name()
        self._apart = apart
        self._program: Daemon | None = None
        self._daemon: Confined | None = None
        self._client: docker.DockerClient | None = None

    @property
    def socket(self) -> Path:
        """The socket of its API."""
        return self.directory / "engine.sock"

    @property
    def url(self) -> str:
        """The address of its API."""
        return f"unix://{self.socket}"

    @property
    def client(self) -> docker.DockerClient:
        """The SDK's client of this engine."""
        if self._client is None:
            raise RuntimeError("the engine is stopped")
        return self._client

    @property
    def daemon(self) -> Confined:
        """The running engine."""
        if self._daemon is None:
            raise RuntimeError("the engine is stopped")
        return self._daemon

    @abstractmethod
    def confined(self) -> Confined:
        """Start the engine; it need not answer yet."""

    def start_confined(
        self,
        argv: Sequence[str | Path],
        *,
        network: bool = True,
        setup: str = "",
        environment: Mapping[str, str] | None = None,
    ) -> Confined:
        """Start the engine by this command, as `Confined` does, or as a program of an empty machine."""
        within = argv if not self._apart else ["sleep", "infinity"]
        machine = Confined(within, log=self.log, network=network, setup=setup, environment=environment)
        if self._apart:
            self._program = Daemon(machine, argv, self.log, environment=environment)
            self._program.start()
        return machine

    def crash(self) -> None:
        """End the engine alone, and at once."""
        assert self._program is not None, "it is not apart"
        self._program.kill()

    def revive(self) -> None:
        """Start it again after a crash, and return when it answers."""
        assert self._program is not None, "it is not apart"
        self._program.start()
        wait_until(self._answers, f"{self.program} to answer", timeout=30)

    def start(self) -> Self:
        """Start the engine and return when it answers."""
        self.directory.mkdir(parents=True, exist_ok=True)
        cgroups.remove_stale()
        self._daemon = self.confined()
        try:
            wait_until(self._answers, f"{self.program} to answer", timeout=30)
        except BaseException:
            self.stop()
            raise
        return self

    def stop(self) -> None:
        """End the engine and all its containers. Stopping twice is harmless."""
        if self._client is not None:
            self._client.close()
            self._client = None
        if self._daemon is not None:
            self._daemon.kill()
            self._daemon = None
            if self._program is not None:
                self._program.reap()
                self._program = None
            self.socket.unlink(missing_ok=True)
            cgroups.remove(self.cgroup)

    def calls(self) -> list[str]:
        """The API calls it got so far, such as `POST /v1.41/containers/web/exec`, from its own log."""
        text = self.log.read_text(errors="replace")
        calls = [f"{method} {path}" for method, path in self.call_pattern.findall(text)]
        return [call for call in calls if not call.endswith("/_ping")]

    @property
    def opencode(self) -> str:
        """The OpenCode program, where the engine can mount it from."""
        return opencode_bin()

    @contextmanager
    def container(
        self,
        name: str,
        *,
        variant: str = "minimal",
        opencode: bool = True,
        user: str | None = None,
        network_mode: str = "none",
        model: bool = False,
        environment: Mapping[str, str] | None = None,
        **more: Any,
    ) -> Iterator[ContainerRig]:
        """A running container, removed at the end; `model=True` has the scripted model on its loopback.

        It starts with no daemon in it, but with a configuration by which a daemon finds the model.
        """
        self.load(variant)
        has_opencode = opencode and variant == "minimal"
        settings: dict[str, Any] = {"detach": True, "init": True, "network_mode": network_mode, **more}
        if has_opencode:
            settings.setdefault("volumes", {})
            settings["volumes"] |= {self.opencode: {"bind": images.OPENCODE_PATH, "mode": "ro"}}
        if user:
            settings["user"] = user
        started = self.client.containers.run(
            images.reference(variant),
            name=name,
            environment={**ENVIRONMENT, **(environment or {})},
            cgroup_parent=self.cgroup_parent,
            **settings,
        )
        rig = ContainerRig(started, self.daemon)
        with ExitStack() as stack:
            stack.callback(rig.remove)
            rig.write(rig.config_path(user), opencode_config(), user=user)
            if model:
                stack.enter_context(rig.serve_model())
            yield rig

    @property
    def cgroup_parent(self) -> str | None:
        """The cgroup for containers, where the engine does not put them there by itself."""
        return None

    def load(self, variant: str) -> str:
        """Have an image, and return its name."""
        reference = images.reference(variant)
        try:
            self.client.images.get(reference)
        except docker.errors.ImageNotFound:
            self.client.images.load(images.archive(variant))
        return reference

    def __enter__(self) -> Self:
        return self.start()

    def __exit__(self, *_: object) -> None:
        self.stop()

    def _answers(self) -> bool:
        if self._program is not None:
            self._program.check()
        if self.daemon.has_ended():
            raise RuntimeError(f"{self.program} ended: {self.daemon.report()}")
        # Asked by hand first: a client that was refused leaves an open socket behind.
        with socket.socket(socket.AF_UNIX) as connection:
            connection.settimeout(1)
            try:
                connection.connect(str(self.socket))
                connection.sendall(b"GET /_ping HTTP/1.1\r\nHost: docker\r\nConnection: close\r\n\r\n")
                if not connection.recv(100).startswith(b"HTTP/1.1 200"):
                    return False
            except OSError:
                return False
        if self._client is None:
            self._client = docker.DockerClient(base_url=self.url, version="auto", timeout=30)
        return True
