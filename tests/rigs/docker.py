"""A real dockerd of our own: one socket is all that the machine sees of it."""

import os
import re
import shutil
from collections.abc import Sequence
from pathlib import Path
from typing import ClassVar

from tests.rigs.availability import Unavailable
from tests.rigs.engine import ContainerEngine
from tests.rigs.namespaces import Confined
from tests.rigs.opencode import opencode_bin
from tests.rigs.ordinary_user import ACCOUNT, USER, USER_ID, setup_script, write_accounts

NO_BRIDGE = ("--bridge=none", "--iptables=false", "--ip-masq=false")

ROOTLESS_SCRIPTS = ("dockerd-rootless.sh", "/usr/share/docker.io/contrib/dockerd-rootless.sh")
TUNNEL_DEVICE = Path("/dev/net/tun")
OPENCODE = "/run/opencode"

# On a desktop anybody may open the device; who may not here gets another name for it. The program may lie where an
# ordinary user cannot go.
ROOTLESS_SETUP = f"""\
mknod -m 666 /run/tun c 10 200
mount --bind /run/tun {TUNNEL_DEVICE}
touch {OPENCODE}
mount --bind '{{program}}' {OPENCODE}
"""


class DockerEngine(ContainerEngine):
    """dockerd, with a bridge inside its namespaces."""

    program = "dockerd"
    needed: ClassVar[Sequence[str]] = ("containerd", "docker-init", "iptables")
    call_pattern: ClassVar = re.compile(r'msg="Calling (\w+) (/\S*)"')

    def __init__(
        self,
        directory: Path,
        *,
        apart: bool = False,
        options: Sequence[str] = (),
        own_network: bool = True,
    ) -> None:
        """As any engine; options are more of dockerd's.

        Without a network of its own, a container on the host's network is on this machine's.
        """
        super().__init__(directory, apart=apart)
        self._options = tuple(options)
        self._own_network = own_network

    def confined(self) -> Confined:
        (self.directory / "daemon.json").write_text("{}")
        return self.start_confined(self._argv(), network=self._own_network)

    def _argv(self) -> list[str]:
        at = self.directory
        return [
            *("dockerd", "--debug", "--config-file", f"{at}/daemon.json", "--data-root", f"{at}/data"),
            *("--exec-root", "/run/docker", "--pidfile", "/run/dockerd.pid"),
            *("--host", self.url, "--group", "root", "--ip-forward=false"),
            *(("--bip", "10.214.0.1/24", "--ip6tables=false") if self._own_network else NO_BRIDGE),
            *("--storage-driver", "overlay2"),
            *("--exec-opt", "native.cgroupdriver=cgroupfs", "--cgroup-parent", f"/{self.cgroup}"),
            *(["--live-restore"] if self._apart else []),
            *self._options,
        ]


class RootlessDockerEngine(DockerEngine):
    """dockerd of a user who exists only inside, started by the script that Docker has for that."""

    needed = (*DockerEngine.needed, "rootlesskit", "newuidmap", "slirp4netns")

    def __init__(self, directory: Path) -> None:
        super().__init__(directory)
        found = next(filter(None, map(shutil.which, ROOTLESS_SCRIPTS)), None)
        if found is None:
            raise Unavailable(f"not installed: {ROOTLESS_SCRIPTS[0]}")
        if not TUNNEL_DEVICE.exists():
            raise Unavailable(f"there is no {TUNNEL_DEVICE}, for the network of an ordinary user")
        self._script = found

    @property
    def home(self) -> Path:
        """The user's home."""
        return self.directory / "home"

    @property
    def runtime(self) -> Path:
        """The user's XDG_RUNTIME_DIR."""
        return self.home / "run"

    @property
    def socket(self) -> Path:
        return self.runtime / "docker.sock"

    @property
    def opencode(self) -> str:
        return OPENCODE

    def confined(self) -> Confined:
        self.directory.chmod(0o711)
        self.home.mkdir(mode=0o700, exist_ok=True)
        os.chown(self.home, USER_ID, USER_ID)
        accounts = write_accounts(self.directory, self.home)
        return Confined(
            [*ACCOUNT, self._script, "--debug", "--storage-driver", "overlay2"],
            log=self.log,
            setup=setup_script(accounts, self.runtime) + ROOTLESS_SETUP.format(program=opencode_bin()),
            environment={
                "PATH": f"{os.environ['PATH']}:/usr/sbin:/sbin",
                "HOME": str(self.home),
                "USER": USER,
                "XDG_RUNTIME_DIR": str(self.runtime),
            },
        )
