"""Whether a daemon would end at logout is found without changing anything."""

from collections.abc import Iterator

import pytest

from ocattach.doctor.ladder import StepWarning
from ocattach.doctor.logout import check_logout
from tests.doctor.test_connection import on_ssh, rungs
from tests.main_job.laptop import Laptop
from tests.rigs.machine import USER
from tests.rigs.ssh import SSHMachines


@pytest.fixture
def logind(ssh_machines: SSHMachines) -> Iterator[SSHMachines]:
    """A host that looks as if systemd ran on it, and ends processes at logout."""
    run = ssh_machines["main"].confined.path("/run/systemd")
    for folder in ("system", "logind.conf.d"):
        (run / folder).mkdir(parents=True, exist_ok=True)
    (run / "logind.conf").write_text("[Login]\n#KillUserProcesses=no\n")
    (run / "logind.conf.d/50-kill.conf").write_text("[Login]\nKillUserProcesses=yes\n")
    yield ssh_machines
    (run / "system").rmdir()


@on_ssh
def test_a_host_that_ends_processes_at_logout_is_named_with_what_helps(
    logind: SSHMachines, laptop: Laptop
) -> None:
    found = rungs(laptop.run("doctor", "frontend", "-o", "json"))
    assert found["logout"]["status"] == "warning"
    assert "loginctl enable-linger" in found["logout"]["found"]
    assert f"when {USER} logs out" in found["logout"]["found"]

    (logind["main"].confined.path("/run/systemd/logind.conf.d") / "50-kill.conf").unlink()
    assert rungs(laptop.run("doctor", "frontend", "-o", "json"))["logout"]["status"] == "ok"


@on_ssh
def test_a_host_without_systemd_has_no_such_rung(laptop: Laptop) -> None:
    assert "logout" not in rungs(laptop.run("doctor", "frontend", "-o", "json"))


@pytest.mark.parametrize(
    ("report", "user", "problem"),
    [
        ("logind:no:no:", "me", ""),
        ("logind:::", "me", ""),
        ("logind:yes:no:", "root", ""),
        ("logind:yes:yes:", "me", "KillUserProcesses=yes"),
        ("logind:no:no:yes", "me", "last session of me"),
        ("logind:no:yes:yes", "me", ""),
    ],
)
def test_what_decides(report: str, user: str, problem: str) -> None:
    if not problem:
        assert check_logout(report, user) == "the daemon goes on"
        return
    with pytest.raises(StepWarning, match=problem):
        check_logout(report, user)
