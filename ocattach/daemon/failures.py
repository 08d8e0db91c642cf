"""Why `opencode serve` ended at once, told by its exit code and its last words."""

import re

from ocattach.daemon.places import FITTING
from ocattach.errors import (
    DaemonStartError,
    EnvironmentConfigError,
    OcattachError,
    OpencodeIncompatibleError,
)

REJECTED_CONFIG = re.compile(r"Config file at (\S+) is not valid JSON|Configuration is invalid at (\S+)")
"""How `opencode serve` ends when it cannot even read its configuration (1.18.33)."""

BASELINE = (
    "is not made for this processor",
    "Where the processor has no AVX2, opencode-linux-x64-baseline is needed, which npm takes by itself there",
)
STUB = (
    "is npm's stub, without the program that the package's postinstall script puts there",
    "Have npm run that script there: npm rebuild -g opencode-ai --ignore-scripts=false",
)
UNABLE = (
    (re.compile(r"postinstall script was not run"), *STUB),
    (
        re.compile(r"(?:Error loading shared library|error while loading shared libraries:) (\S+?):"),
        "lacks the library {}",
        "Install it there; on Alpine: apk add libstdc++ libgcc",
    ),
    (
        re.compile(r"Error relocating|version `GLIBC\S+' not found"),
        "is made for another C library than the one there",
        FITTING,
    ),
    (
        re.compile(r"Exec format error|cannot execute binary file"),
        "is made for another kind of processor or system",
        FITTING,
    ),
    (re.compile(r"Illegal instruction"), *BASELINE),
)
"""What loaders, shells and npm's stub say of a program that cannot run, what that means, and what helps.

Seen with musl 1.2.5, glibc 2.36, dash, busybox and opencode-ai 1.18.33.
"""

ILLEGAL_INSTRUCTION = str(128 + 4)
"""The exit code of what SIGILL ended. Bun's usual build needs AVX2, its baseline build does not."""


def ended_at_once(program: str, *, exit_code: str | None, log: str) -> OcattachError:
    """The error for a daemon that ended before it listened."""
    if rejected := REJECTED_CONFIG.search(log):
        return EnvironmentConfigError(
            f"OpenCode in the environment rejects its configuration {rejected[1] or rejected[2]}:\n{log}",
            hint="Correct that file there, and connect again",
        )
    said = f"; its log ends:\n{log}" if log else ""
    if exit_code == ILLEGAL_INSTRUCTION:
        return OpencodeIncompatibleError(
            f"{program} in the environment {BASELINE[0]}{said}", hint=BASELINE[1]
        )
    for pattern, problem, hint in UNABLE:
        if match := pattern.search(log):
            told = problem.format(*match.groups())
            return OpencodeIncompatibleError(f"{program} in the environment {told}{said}", hint=hint)
    code = f" (exit code {exit_code})" if exit_code else ""
    return DaemonStartError(f"opencode serve ended at once{code}{said}")
