"""Errors for `opencode` programs in an environment that cannot be used, and what to do about them."""

import re
from collections.abc import Sequence
from itertools import groupby
from typing import NamedTuple

from ocattach.errors import (
    DaemonStartError,
    EnvironmentConfigError,
    OcattachError,
    OpencodeIncompatibleError,
    OpencodeNotFoundError,
)
from ocattach.printable import command_line

INSTALL = "npm install -g opencode-ai"
REINSTALL = f"Reinstall it in the environment: {INSTALL}"
INSTALL_THERE = f"Install OpenCode in the environment, which selects the right build: {INSTALL}"

NO_PROGRAM = {"absent", "silent", "same", "late"}
"""The reasons for places without an opencode."""

REJECTED_CONFIG = re.compile(r"Config file at (\S+) is not valid JSON|Configuration is invalid at (\S+)")
"""What `opencode serve` prints before it exits because of its configuration (1.18.33)."""

BASELINE = (
    "does not support this processor",
    "If the processor has no AVX2, install opencode-linux-x64-baseline; npm selects it in the environment",
)
STUB = (
    "is npm's stub; the package's postinstall script, which installs the program, was not run",
    "Run the script in the environment: npm rebuild -g opencode-ai --ignore-scripts=false",
)
UNABLE = (
    (re.compile(r"postinstall script was not run"), *STUB),
    (
        re.compile(r"(?:Error loading shared library|error while loading shared libraries:) (\S+?):"),
        "needs the library",
        "Install it in the environment; on Alpine: apk add libstdc++ libgcc",
    ),
    (
        re.compile(r"Error relocating|version `GLIBC\S+' not found"),
        "is built for another C library than the environment has",
        INSTALL_THERE,
    ),
    (
        re.compile(r"Exec format error|cannot execute binary file"),
        "is built for another processor or operating system",
        INSTALL_THERE,
    ),
    (re.compile(r"Illegal instruction"), *BASELINE),
)
"""What loaders, shells and npm's stub print for a program that cannot run, the problem, and the hint.

Seen with musl 1.2.5, glibc 2.36, dash, busybox and opencode-ai 1.18.33.
"""

ABORTED = ": it aborted, as if the environment allows it too few processes or too little memory"
LIMITS = {
    "133": ABORTED,
    "134": ABORTED,
    "137": ": it was killed, as if it used more memory than the environment allows",
}
"""What exit codes of a shell for SIGTRAP, SIGABRT and SIGKILL say about a program that has just been started."""

NO_PROCESS = re.compile(
    r"resource temporarily unavailable|can(no|')t (fork|allocate memory)|read init-p", re.IGNORECASE
)
"""What shells and runc (1.1) print where no further process or thread is allowed."""

SHOW_LIMITS = "Show the limits there: ulimit -a; cat /sys/fs/cgroup/memory.max /sys/fs/cgroup/pids.max"
ILLEGAL_INSTRUCTION = str(128 + 4)
"""The exit code after SIGILL. Bun's default build needs AVX2, its baseline build does not."""


class UnusableBinary(NamedTuple):
    """A path at which lookup.sh found no opencode that can be used."""

    reason: str
    """As lookup.sh reports it."""

    detail: str
    """Depends on the reason: the missing loader, or the seconds of a timeout."""

    path: str

    def explain(self, machine: str) -> str:
        """Return the reason as text."""
        libc = "musl" if self.is_musl else "glibc"
        reasons = {
            "absent": "does not exist",
            "silent": "does not print its PATH",
            "same": "has the same PATH",
            "late": f"did not answer within {self.detail} s",
            "dangling": "broken symbolic link",
            "folder": "is a directory",
            "not-executable": "not executable",
            "empty": "empty file",
            "stub": "npm's stub; the package's postinstall script, which installs the program, was not run",
            "libc": f"built for {libc}, whose loader {self.detail} does not exist",
            "architecture": f"built for another processor ({self.detail}) than {machine}",
            "system": "built for another operating system",
            "interpreter": f"script for {self.detail}, which does not exist",
        }
        return reasons.get(self.reason, self.reason)

    def remedy(self, machine: str) -> str:
        """Return the hint; empty if there is none."""
        script = command_line("node", f"{self.detail}/postinstall.mjs")
        needed = package(machine, musl=not self.is_musl)
        install = INSTALL if self.is_musl else f"apk add libstdc++ libgcc && {INSTALL}"
        remedies = {
            "stub": f"Run the postinstall script that npm skipped, in the environment: {script}",
            "libc": f"Install {needed} in the environment; this selects it: {install}",
            "architecture": INSTALL_THERE,
            "system": INSTALL_THERE,
            "not-executable": f"Make it executable in the environment: {command_line('chmod', '+x', self.path)}",
            "interpreter": f"Install {self.detail} in the environment, or an OpenCode that does not need it: {INSTALL}",
        }
        return remedies.get(self.reason, "")

    @property
    def is_musl(self) -> bool:
        """Whether the program is built for musl, judging by its loader."""
        return "ld-musl" in self.detail


def not_found(tried: Sequence[UnusableBinary], *, system: str, environment: str) -> OpencodeNotFoundError:
    """Return the error for an environment without a usable opencode; `system` is the output of `uname -sm`."""
    machine = system.rpartition(" ")[2]
    groups = groupby(tried, key=lambda each: each.explain(machine))
    listing = "".join(f"\n  {reason}: {', '.join(each.path for each in group)}" for reason, group in groups)
    broken = [each for each in tried if each.reason not in NO_PROGRAM]
    if not broken:
        return OpencodeNotFoundError(
            f"opencode was not found in {environment}; searched, in this order:{listing}",
            hint=f"Install it there ({INSTALL}), or set its path as `opencode` in the connection",
        )
    return OpencodeIncompatibleError(
        f"The opencode in {environment} cannot run; searched, in this order:{listing}",
        hint=next(filter(None, (each.remedy(machine) for each in broken)), REINSTALL),
    )


def package(machine: str, *, musl: bool) -> str:
    """Return the npm package with OpenCode for Linux; `machine` is a processor as `uname -m` prints it."""
    names = {"x86_64": "x64", "amd64": "x64", "aarch64": "arm64"}
    return f"opencode-linux-{names.get(machine, machine)}" + ("-musl" if musl else "")


def ended_at_once(program: str, *, exit_code: str | None, log: str) -> OcattachError:
    """Return the error for an `opencode serve` that exited before it listened; `log` is the end of its output."""
    if rejected := REJECTED_CONFIG.search(log):
        return EnvironmentConfigError(
            f"OpenCode in the environment rejects its configuration {rejected[1] or rejected[2]}:\n{log}",
            hint="Fix that file in the environment, then connect again",
        )
    output = f"; its log ends:\n{log}" if log else ""
    if exit_code == ILLEGAL_INSTRUCTION:
        return OpencodeIncompatibleError(
            f"{program} in the environment {BASELINE[0]}{output}", hint=BASELINE[1]
        )
    for pattern, problem, hint in UNABLE:
        if match := pattern.search(log):
            what = " ".join([problem, *match.groups()])
            return OpencodeIncompatibleError(f"{program} in the environment {what}{output}", hint=hint)
    code = f" (exit code {exit_code})" if exit_code else ""
    cause = LIMITS.get(exit_code or "", "")
    return DaemonStartError(
        f"opencode serve exited at once{code}{cause}{output}", hint=SHOW_LIMITS if cause else ""
    )
