"""A real dockerd of our own: one socket is all that the machine sees of it."""

import re
import socket
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any, Self

import docker
import docker.errors

from tests.rigs import cgroups, images
from tests.rigs.availability import need
from tests.rigs.container import ContainerRig
from tests.rigs.namespaces import PROGRAMS, Confined, init_program
from tests.rigs.opencode import ENVIRONMENT, opencode_bin, opencode_config
from tests.rigs.waiting import wait_until

NEEDED = (*PROGRAMS, "dockerd", "containerd", "runc", "docker-init", "busybox", "ldd", "iptables")
CALL = re.compile(r'msg="Calling (\w+) (/\S*)"')


class DockerEngine:
    """dockerd in namespaces of its own; containers have no way out to any network.

    `stop` and `start` are for tests of an engine that is down: its containers end, and are known again after.
    """

    def __init__(self, directory: Path, *, options: Sequence[str] = ()) -> None:
        """Keep everything below this directory, whose path has to be short; options are more of dockerd's."""
        need(*NEEDED, root=True)
        init_program()
        self.directory = directory
        self.url = f"unix://{directory}/docker.sock"
        self.log = directory / "dockerd.log"
        self._options = tuple(options)
        self._cgroup = cgroups.new_name()
        self._daemon: Confined | None = None
        self._client: docker.DockerClient | None = None

    @property
    def client(self) -> docker.DockerClient:
        """The SDK's client of this engine."""
        if self._client is None:
            raise RuntimeError("the engine is stopped")
        return self._client

    @property
    def daemon(self) -> Confined:
        """The running dockerd."""
        if self._daemon is None:
            raise RuntimeError("the engine is stopped")
        return self._daemon

    def start(self) -> Self:
        """Start dockerd and return when it answers."""
        self.directory.mkdir(parents=True, exist_ok=True)
        cgroups.remove_stale()
        (self.directory / "daemon.json").write_text("{}")
        self._daemon = Confined(self._argv(), log=self.log)
        try:
            wait_until(self._answers, "dockerd to answer", timeout=30)
        except BaseException:
            self.stop()
            raise
        return self

    def stop(self) -> None:
        """End dockerd and all its containers. Stopping twice is harmless."""
        if self._client is not None:
            self._client.close()
            self._client = None
        if self._daemon is not None:
            self._daemon.kill()
            self._daemon = None
            (self.directory / "docker.sock").unlink(missing_ok=True)
            cgroups.remove(self._cgroup)

    def calls(self) -> list[str]:
        """The API calls dockerd got so far, such as `POST /v1.41/containers/web/exec`, from its own log."""
        text = self.log.read_text(errors="replace")
        return [f"{method} {path}" for method, path in CALL.findall(text) if path != "/_ping"]

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
        self._load(variant)
        has_opencode = opencode and variant == "minimal"
        settings: dict[str, Any] = {"detach": True, "init": True, "network_mode": network_mode, **more}
        if has_opencode:
            settings.setdefault("volumes", {})
            settings["volumes"] |= {opencode_bin(): {"bind": images.OPENCODE_PATH, "mode": "ro"}}
        if user:
            settings["user"] = user
        started = self.client.containers.run(
            images.reference(variant),
            name=name,
            environment={**ENVIRONMENT, **(environment or {})},
            **settings,
        )
        rig = ContainerRig(started, self.daemon)
        with ExitStack() as stack:
            stack.callback(rig.remove)
            rig.write(rig.config_path(user), opencode_config(), user=user)
            if model:
                stack.enter_context(rig.serve_model())
            yield rig

    def __enter__(self) -> Self:
        return self.start()

    def __exit__(self, *_: object) -> None:
        self.stop()

    def _load(self, variant: str) -> None:
        try:
            self.client.images.get(images.reference(variant))
        except docker.errors.ImageNotFound:
            self.client.images.load(images.archive(variant))

    def _argv(self) -> list[str]:
        at = self.directory
        return [
            *("dockerd", "--debug", "--config-file", f"{at}/daemon.json", "--data-root", f"{at}/data"),
            *("--exec-root", "/run/docker", "--pidfile", "/run/dockerd.pid"),
            *("--host", self.url, "--group", "root", "--bip", "10.214.0.1/24"),
            *("--ip-forward=false", "--ip6tables=false", "--storage-driver", "overlay2"),
            *("--exec-opt", "native.cgroupdriver=cgroupfs", "--cgroup-parent", f"/{self._cgroup}"),
            *self._options,
        ]

    def _answers(self) -> bool:
        if self.daemon.has_ended():
            raise RuntimeError(f"dockerd ended: {self.daemon.report()}")
        # Asked by hand first: a client that was refused leaves an open socket behind.
        with socket.socket(socket.AF_UNIX) as connection:
            connection.settimeout(1)
            try:
                connection.connect(f"{self.directory}/docker.sock")
                connection.sendall(b"GET /_ping HTTP/1.1\r\nHost: docker\r\nConnection: close\r\n\r\n")
                if not connection.recv(100).startswith(b"HTTP/1.1 200"):
                    return False
            except OSError:
                return False
        self._client = docker.DockerClient(base_url=self.url, version="auto", timeout=30)
        return True
