"""One machine that sshd leads to, and how it is furnished."""

import os
import re
import shutil
import signal
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import psutil

from tests.rigs.daemons import Daemon
from tests.rigs.directories import write_owned
from tests.rigs.links import Cable
from tests.rigs.model import ScriptedModel
from tests.rigs.namespaces import Confined, Network
from tests.rigs.opencode import CONFIG_PATH, ENVIRONMENT, MODEL_PORT, opencode_config
from tests.rigs.processes import processes_in
from tests.rigs.waiting import wait_until

USER, USER_ID, PASSWORD = "tester", 2000, "correct-horse"
HOME = f"/home/{USER}"
WORKDIR = f"{HOME}/app"
LOG_IN = re.compile(
    r"(?:Accepted (?:publickey|password|keyboard-interactive\S*|gssapi-with-mic)|\w+ auth succeeded) for "
)
"""What sshd, and after the bar dropbear, logs."""

KEPT_AT_HOME = {".ssh", ".opencode"}

# The first value of a setting is the one that counts; of MaxStartups it is the last.
SSHD_CONFIG = """\
Port 22
HostKey /run/machine/host_key
PidFile none
AllowUsers {user}
MaxStartups 100
{settings}
KbdInteractiveAuthentication no
PrintMotd no
UseDNS no
LogLevel VERBOSE
MaxSessions 100
Subsystem sftp internal-sftp
SetEnv {environment}
"""

# The files are copied before /tmp, where they may lie, is replaced by the machine's own.
SETUP = """\
mkdir -m 755 /run/sshd /run/machine
cp {files}/passwd {files}/group {files}/shadow {files}/authorized_keys /run/machine/
cp {files}/host_{name} /run/machine/host_key
cp {files}/{name}.conf /run/machine/sshd.conf
cp -r {files}/{name}.files/. /run/machine/
[ ! -e /run/machine/pam ] || mount --bind /run/machine/pam /etc/pam.d/sshd
{pin_opencode}
for file in passwd group shadow; do mount --bind /run/machine/$file /etc/$file; done
for place in /home /tmp /var/tmp /var/log; do mount -t tmpfs tmpfs $place; done
chmod 1777 /tmp /var/tmp
if [ -e /usr/local/bin/opencode ]; then mount -t tmpfs -o mode=755 tmpfs /usr/local/bin; fi
install -d -o {id} -g {id} -m 755 {home} {workdir}
install -d -o {id} -g {id} -m 700 {home}/.ssh
install -o {id} -g {id} -m 600 /run/machine/authorized_keys {home}/.ssh/
{place_opencode}
"""
PIN_OPENCODE = """\
touch /run/machine/opencode
mount --bind '{program}' /run/machine/opencode"""
PLACE_OPENCODE = """\
install -d -o {id} -g {id} {home}/.opencode {home}/.opencode/bin
touch {home}/.opencode/bin/opencode
mount --bind /run/machine/opencode {home}/.opencode/bin/opencode
mount -o remount,bind,ro {home}/.opencode/bin/opencode"""


def sshd_config(settings: str) -> str:
    """The server's configuration, with what is particular about a machine."""
    environment = " ".join(f"{name}={value}" for name, value in ENVIRONMENT.items())
    return SSHD_CONFIG.format(user=USER, environment=environment, settings=settings)


def setup_script(files: Path, name: str, opencode: str | None) -> str:
    """Shell text that furnishes a machine from the rig's files."""
    place = PLACE_OPENCODE.format(id=USER_ID, home=HOME) if opencode else ""
    pin = PIN_OPENCODE.format(program=opencode) if opencode else ""
    return SETUP.format(
        files=files,
        name=name,
        id=USER_ID,
        home=HOME,
        workdir=WORKDIR,
        pin_opencode=pin,
        place_opencode=place,
    )


@dataclass
class Machine:
    """A running machine; nothing done here is seen in its sshd's log."""

    name: str
    confined: Confined
    cable: Cable
    log: Path
    sshd: Daemon
    model: ScriptedModel | None = None

    @property
    def address(self) -> str:
        return self.cable.address

    @property
    def network(self) -> Network:
        return self.confined.network

    @property
    def home(self) -> Path:
        """The user's home, as a path that can be opened here."""
        return self.confined.path(HOME)

    @property
    def log_ins(self) -> int:
        """How many times somebody has logged in."""
        return len(LOG_IN.findall(self.log.read_text(errors="replace")))

    def run(self, *argv: str) -> subprocess.CompletedProcess[bytes]:
        """Run a command as the user, at home, without ssh."""
        inside = ["nsenter", "-t", str(self.confined.pid), "-m", "-p", "-n", "-u", f"--wd={self.home}"]
        account = ["setpriv", f"--reuid={USER_ID}", f"--regid={USER_ID}", "--clear-groups"]
        environment = {"PATH": os.defpath, "HOME": HOME, "USER": USER, **ENVIRONMENT}
        return subprocess.run([*inside, *account, *argv], capture_output=True, check=False, env=environment)

    def processes(self) -> list[psutil.Process]:
        """The user's processes, sshd's own left out."""
        namespace = Path(f"/proc/{self.confined.pid}/ns/pid").readlink()
        return [process for process in processes_in(str(namespace)) if _belongs_to_user(process)]

    def reset(self) -> None:
        """Make it a machine nobody has worked on: no program runs, the home is empty but for settings."""
        for process in self.processes():
            try:
                process.send_signal(signal.SIGKILL)
            except psutil.NoSuchProcess:
                continue
        wait_until(lambda: not self.processes(), f"the programs on {self.name} to end")
        for entry in self.home.iterdir():
            if entry.name not in KEPT_AT_HOME:
                shutil.rmtree(entry) if entry.is_dir() and not entry.is_symlink() else entry.unlink()
        workdir = self.confined.path(WORKDIR)
        workdir.mkdir()
        os.chown(workdir, USER_ID, USER_ID)
        self.write(CONFIG_PATH, opencode_config())

    def set_shell(self, shell: str) -> None:
        """Give the user another login shell."""
        accounts = self.confined.path("/etc/passwd")
        lines = accounts.read_text().splitlines()
        changed = [
            line.rpartition(":")[0] + f":{shell}" if line.startswith(f"{USER}:") else line for line in lines
        ]
        accounts.write_text("\n".join([*changed, ""]))  # in place: it is mounted over the system's

    def write(self, path: str | Path, text: str) -> None:
        """Write a file as the user, with the missing folders on its way; relative to the home."""
        write_owned(self.home / path, text, owner=USER_ID)

    @contextmanager
    def serve_model(self) -> Iterator[ScriptedModel]:
        """Have the scripted model on the machine's loopback, where the configuration says."""
        with ScriptedModel(MODEL_PORT, network=self.network) as model:
            self.model = model
            yield model


def _belongs_to_user(process: psutil.Process) -> bool:
    try:
        return USER_ID in process.uids() and process.name() != "sshd"
    except psutil.NoSuchProcess:
        return False
