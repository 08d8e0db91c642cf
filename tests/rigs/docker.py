"""A real dockerd of our own: one socket is all that the machine sees of it."""

import re
from collections.abc import Sequence
from pathlib import Path
from typing import ClassVar

from tests.rigs.engine import ContainerEngine
from tests.rigs.namespaces import Confined

NO_BRIDGE = ("--bridge=none", "--iptables=false", "--ip-masq=false")


class DockerEngine(ContainerEngine):
    """dockerd, with a bridge inside its namespaces."""

    program = "dockerd"
    needed = ("containerd", "docker-init", "iptables")
    call_pattern: ClassVar = re.compile(r'msg="Calling (\w+) (/\S*)"')

    def __init__(self, directory: Path, *, options: Sequence[str] = (), own_network: bool = True) -> None:
        """As any engine; options are more of dockerd's.

        Without a network of its own, a container on the host's network is on this machine's.
        """
        super().__init__(directory)
        self._options = tuple(options)
        self._own_network = own_network

    def confined(self) -> Confined:
        (self.directory / "daemon.json").write_text("{}")
        return Confined(self._argv(), log=self.log, network=self._own_network)

    def _argv(self) -> list[str]:
        at = self.directory
        return [
            *("dockerd", "--debug", "--config-file", f"{at}/daemon.json", "--data-root", f"{at}/data"),
            *("--exec-root", "/run/docker", "--pidfile", "/run/dockerd.pid"),
            *("--host", self.url, "--group", "root", "--ip-forward=false"),
            *(("--bip", "10.214.0.1/24", "--ip6tables=false") if self._own_network else NO_BRIDGE),
            *("--storage-driver", "overlay2"),
            *("--exec-opt", "native.cgroupdriver=cgroupfs", "--cgroup-parent", f"/{self.cgroup}"),
            *self._options,
        ]
