"""A real podman service of our own, for root or for an ordinary user: one socket is all the machine sees of it."""

import os
import re
import shutil
import sys
import sysconfig
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import ClassVar

from tests.rigs import opencode
from tests.rigs.directories import write_owned
from tests.rigs.engine import ContainerEngine
from tests.rigs.namespaces import Confined
from tests.rigs.opencode import opencode_bin
from tests.rigs.ordinary_user import ACCOUNT, USER, USER_ID, setup_script, write_accounts

OPENCODE, PYTHON, CHECKOUT, PACKAGES = (
    f"/run/{name}" for name in ("opencode", "python", "checkout", "packages")
)

# runc, since crun refuses the hybrid cgroups of some machines. No ulimits: podman's own need CAP_SYS_RESOURCE.
CONTAINERS_CONF = """\
[containers]
default_ulimits = []
netns = "none"
log_driver = "k8s-file"
[engine]
runtime = "runc"
cgroup_manager = "cgroupfs"
events_logger = "file"
static_dir = "{storage}/libpod"
volume_path = "{storage}/volumes"
"""
STORAGE_CONF = """\
[storage]
driver = "overlay"
graphroot = "{storage}"
runroot = "{runtime}/containers"
"""
POLICY = '{"default": [{"type": "insecureAcceptAnything"}]}'

# Locks are in /dev/shm; what has to be run may lie where an ordinary user cannot go.
SETUP = """\
mount -t tmpfs tmpfs /dev/shm
touch {opencode}
mount --bind '{program}' {opencode}
mkdir {python} {checkout} {packages}
mount --bind '{own_python}' {python}
mount --bind '{own_checkout}' {checkout}
mount --bind '{own_packages}' {packages}
"""


class PodmanEngine(ContainerEngine):
    """`podman system service` of root's."""

    program = "podman"
    needed: ClassVar[Sequence[str]] = ("conmon", "catatonit")
    call_pattern: ClassVar = re.compile(r'^@ - - \[[^]]*\] "(\w+) (/\S*) HTTP', re.MULTILINE)

    runtime: ClassVar[str] = "/run"
    """Where it keeps what must not outlive it, inside."""

    account: ClassVar[tuple[str, ...]] = ()
    """Put before a command, it makes it the account's whose podman this is."""

    @property
    def cgroup_parent(self) -> str | None:
        return f"/{self.cgroup}"

    @property
    def opencode(self) -> str:
        return OPENCODE

    @property
    def variables(self) -> Mapping[str, str]:
        """What makes a `podman` inside use this engine's storage."""
        settings = {
            "CONTAINERS_STORAGE_CONF": str(self.directory / "storage.conf"),
            "CONTAINERS_CONF": str(self.directory / "containers.conf"),
            "CONTAINERS_REGISTRIES_CONF": "/dev/null",
        }
        python = {"PYTHONPATH": f"{CHECKOUT}:{PACKAGES}", "PYTHONDONTWRITEBYTECODE": "1"}
        return {"PATH": os.environ["PATH"], "HOME": "/root", **settings, **python}

    def inside(self, *argv: str | Path) -> list[str]:
        """A command, to be run on this machine, that runs argv where the engine is, as the engine's account."""
        namespaces = ["nsenter", "-t", str(self.daemon.pid), "-m", "-p", "-n"]
        enter, *words = [*namespaces, *self.account]
        # Both are found here, since the command's own PATH may have neither.
        return [shutil.which(enter) or enter, *words, *map(str, argv)]

    def ocattach(self, *arguments: str) -> list[str]:
        """As `inside`, for ocattach."""
        # An interpreter that is built as a shared library looks for that where it was installed.
        libraries = f"LD_LIBRARY_PATH={PYTHON}/lib"
        env = shutil.which("env") or "env"
        return self.inside(env, libraries, f"{PYTHON}/bin/python3", "-m", "ocattach", *arguments)

    def give(self, path: Path) -> None:
        """Make a file or folder the account's."""
        os.chown(path, 0, 0, follow_symlinks=False)

    def confined(self) -> Confined:
        self.write_settings()
        service = ["podman", "--log-level=info", "system", "service", "--time", "0", self.url]
        return self.start_confined([*self.account, *service], setup=self.setup(), environment=self.variables)

    def write_settings(self) -> None:
        """Write the files that `variables` names."""
        storage = self.directory / "storage"
        places = {"storage": storage, "runtime": self.runtime}
        (self.directory / "storage.conf").write_text(STORAGE_CONF.format(**places))
        (self.directory / "containers.conf").write_text(CONTAINERS_CONF.format(**places))

    def setup(self) -> str:
        """Shell text that prepares the place, as root."""
        return SETUP.format(
            opencode=OPENCODE,
            program=opencode_bin(),
            python=PYTHON,
            own_python=sys.base_prefix,
            checkout=CHECKOUT,
            own_checkout=opencode.CHECKOUT,
            packages=PACKAGES,
            own_packages=sysconfig.get_path("purelib"),
        )


class RootlessPodmanEngine(PodmanEngine):
    """`podman system service` of a user who exists only inside; the socket is his, and root may open it."""

    needed: ClassVar[Sequence[str]] = ("conmon", "catatonit", "newuidmap", "slirp4netns")
    runtime = f"/run/user/{USER_ID}"
    account = ACCOUNT

    def give(self, path: Path) -> None:
        os.chown(path, USER_ID, USER_ID, follow_symlinks=False)

    @property
    def home(self) -> Path:
        """The user's home."""
        return self.directory / "home"

    @property
    def socket(self) -> Path:
        return self.home / "podman.sock"

    @property
    def cgroup_parent(self) -> str | None:
        return None  # an ordinary user has none to give

    @property
    def variables(self) -> Mapping[str, str]:
        account = {"HOME": str(self.home), "USER": USER, "XDG_RUNTIME_DIR": self.runtime}
        return {**super().variables, **account}

    def write_settings(self) -> None:
        self.directory.chmod(0o711)
        for folder in (self.home, self.directory / "storage"):
            folder.mkdir(mode=0o700, exist_ok=True)
            os.chown(folder, USER_ID, USER_ID)
        write_owned(self.home / ".config/containers/policy.json", POLICY, owner=USER_ID)
        write_accounts(self.directory, self.home)
        super().write_settings()

    def setup(self) -> str:
        return super().setup() + setup_script(self.directory / "accounts", self.runtime)
