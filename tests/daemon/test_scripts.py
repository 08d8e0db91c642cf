"""Our shell scripts run under every POSIX shell, and mean the same there."""

import subprocess
from collections.abc import Sequence

import pytest

from ocattach.daemon.script import script_argv, script_input
from tests.docs.markdown import CHECKOUT
from tests.rigs.availability import need, require
from tests.rigs.local import LocalMachine

SHELLS = (["dash"], ["busybox", "sh"], ["bash", "--posix"], ["mksh"])
INTENDED = "SC1007,SC2012,SC2013,SC2015,SC2034,SC2086,SC2088"
"""Empty assignments; process numbers split into words; a choice by && and ||; what another script uses."""


@pytest.mark.parametrize("name", ["start", "stop", "logs", "listener", "ports", "proxies", "probe"])
def test_a_script_is_sound_to_shellcheck(name: str) -> None:
    with require("shells"):
        need("shellcheck")
    text = script_argv(name, then="become_relay.sh" if name == "probe" else "")[2]
    done = subprocess.run(
        ["shellcheck", "--shell=sh", f"--exclude={INTENDED}", "-"],
        input=text,
        capture_output=True,
        text=True,
        check=False,
    )

    assert not done.stdout


@pytest.mark.parametrize("shell", SHELLS, ids=" ".join)
def test_a_probe_is_answered_alike_by_every_shell(local: LocalMachine, shell: Sequence[str]) -> None:
    with require("shells"):
        need(shell[0])
    _, flag, text, *arguments = script_argv("probe", "~", "", "")
    (local.home / ".local/bin").mkdir(parents=True)
    (local.home / ".local/bin/opencode").symlink_to(local.home.parent / "bin/opencode")
    done = subprocess.run(
        [*shell, flag, text, *arguments],
        input=script_input("mark"),
        env={"HOME": str(local.home), "PATH": "/usr/bin:/bin"},
        capture_output=True,
        check=True,
    )
    said = done.stdout.decode().splitlines()

    assert f"mark workdir={local.home}" in said
    assert f"mark opencode={local.home}/.local/bin/opencode" in said
    assert "mark end=1" in said
    assert not done.stderr


PREPARED = """
say() { printf 'mark %s=%s\\n' "$1" "$2"; }
daemon_pid=$$ d_pid=$$ given=" SECRET PATH " SECRET=secret; export SECRET
"""


@pytest.mark.parametrize("shell", SHELLS, ids=" ".join)
def test_a_probe_becomes_the_relay_without_what_the_connection_sets(shell: Sequence[str]) -> None:
    with require("shells"):
        need(shell[0])
    text = PREPARED + (CHECKOUT / "ocattach/daemon/become_relay.sh").read_text()
    relay = ["sh", "-c", 'echo "$0 ${SECRET-unset} $*"', "PROGRAM", "-e", "a relay"]
    done = subprocess.run(
        [*shell, "-c", text, "ocattach", "1", "2", "3", "4", *relay],
        capture_output=True,
        text=True,
        check=True,
    )
    *report, ran = done.stdout.splitlines()

    assert report == ["mark relay=1", "mark end=1"]
    assert ran.startswith("/proc/")
    assert ran.endswith("/exe unset -e a relay")
