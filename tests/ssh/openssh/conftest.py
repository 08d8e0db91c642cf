"""Machines for what OpenSSH's own client can do, and the processes that a test has started."""

import os
import secrets
from collections.abc import Callable, Iterator

import psutil
import pytest

from tests.rigs import one_time_codes
from tests.rigs.availability import require
from tests.rigs.directories import short_directory
from tests.rigs.processes import environments
from tests.rigs.ssh import Kind, SSHMachines
from tests.rigs.waiting import wait_until
from tests.ssh.conftest import KEYS_ONLY, NO_KEYS, PAM

MARK = "OCATTACH_TEST_OF_SSH"
QUESTION = "Einmalkennwort für heute, 合言葉"
URL = "https://login.example/visit/4711"
VISITED = "/run/machine/visited"
CLOSED = "The machine is closed until Monday"
KINDS = {
    "main": Kind(),
    "passwd": Kind(settings=f"{NO_KEYS}PasswordAuthentication yes\nUsePAM yes\n"),
    "inner": Kind(behind="passwd", has_opencode=False),
    "ten": Kind(settings=f"MaxSessions 10\n{KEYS_ONLY}", has_opencode=False),
    "chacha": Kind(settings=f"Ciphers chacha20-poly1305@openssh.com\n{KEYS_ONLY}"),
    "sntrup": Kind(settings=f"KexAlgorithms sntrup761x25519-sha512@openssh.com\n{KEYS_ONLY}"),
    "foreign": Kind(
        settings=f"{NO_KEYS}PasswordAuthentication no\n{PAM}",
        pam=one_time_codes.PAM.replace(
            " echo_verification_code", f" [authtok_prompt={QUESTION}: ] echo_verification_code"
        ),
        files={"codes": one_time_codes.FILE},
        has_opencode=False,
    ),
    "visit": Kind(
        settings=f"{NO_KEYS}PasswordAuthentication no\nBanner /run/machine/banner\n{PAM}",
        pam="auth required pam_exec.so quiet /bin/sh /run/machine/await-visit\n"
        "auth required pam_permit.so\naccount required pam_permit.so\nsession required pam_permit.so\n",
        files={
            "banner": f"To log in, visit:\n\n\t{URL}\n\n",
            "await-visit": f"until [ -e {VISITED} ]; do sleep 0.05; done\n",
        },
        has_opencode=False,
    ),
    "forced": Kind(
        settings=f"ForceCommand echo This host only makes backups\n{KEYS_ONLY}", has_opencode=False
    ),
    "closed": Kind(
        settings="UsePAM yes\n",
        pam="auth required pam_unix.so\naccount required pam_nologin.so\nsession required pam_permit.so\n",
        has_opencode=False,
    ),
}
"""`closed` is so while its /run/nologin exists, and `visit` waits for VISITED."""

Started = Callable[[], list[psutil.Process]]


@pytest.fixture(scope="session")
def _openssh_machines(opencode_bin: str) -> Iterator[SSHMachines]:  # noqa: ARG001 - some machines mount it
    with require("ssh"), short_directory() as directory:
        one_time_codes.need_module()
        with SSHMachines(directory, kinds=KINDS) as machines:
            yield machines


@pytest.fixture
def machines(_openssh_machines: SSHMachines) -> Iterator[SSHMachines]:
    """The machines, each as if nobody had logged in."""
    authorized_keys = _openssh_machines["main"].home / ".ssh/authorized_keys"
    before = authorized_keys.read_text()
    yield _openssh_machines
    authorized_keys.write_text(before)
    _openssh_machines["main"].set_shell("/bin/bash")


@pytest.fixture
def started(machines: SSHMachines, monkeypatch: pytest.MonkeyPatch) -> Started:
    """The processes that this test has started and that run now, those of ssh in the background included."""
    mark = secrets.token_hex(8)
    monkeypatch.setenv(MARK, mark)

    def find() -> list[psutil.Process]:
        marked = {pid for pid, environment in environments() if environment.get(MARK) == mark}
        # A master that detaches itself may write its title over its environment.
        connected = {
            link.pid
            for link in psutil.net_connections("tcp")
            if link.pid and link.raddr and link.raddr.ip in machines.addresses
        }
        wanted = (marked | connected) - {os.getpid()}
        return [process for process in psutil.process_iter() if process.pid in wanted]

    return find


@pytest.fixture(autouse=True)
def _nothing_is_left(started: Started) -> Iterator[None]:
    """Once the connections of a test are closed, no process of theirs runs."""
    yield
    wait_until(lambda: not started(), "the processes of ssh to end", timeout=60)
