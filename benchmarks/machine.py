"""What has to be known about a machine to compare its numbers with others."""

import os
import platform
import shutil
import subprocess
from datetime import UTC, datetime
from typing import Any

from ocattach import __version__
from tests.rigs.opencode import opencode_bin

VERSIONS = {
    "docker": ["docker", "--version"],
    "podman": ["podman", "--version"],
    "openssh": ["ssh", "-V"],
    "kubectl": ["kubectl", "version", "--client"],
}


def facts() -> dict[str, Any]:
    """Cores, kernel, and the versions of all that takes part."""
    try:
        opencode = said([opencode_bin(), "--version"])
    except LookupError:
        opencode = None
    return {
        "when": datetime.now(UTC).isoformat(timespec="seconds"),
        "cores": len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count(),
        "load": os.getloadavg()[0],
        "kernel": f"{platform.system()} {platform.release()} {platform.machine()}",
        "python": platform.python_version(),
        "ocattach": __version__,
        "opencode": opencode,
        **{name: said(argv) for name, argv in VERSIONS.items()},
    }


def said(argv: list[str]) -> str | None:
    """The first line a program prints; None where there is no such program."""
    if shutil.which(argv[0]) is None:
        return None
    done = subprocess.run(argv, capture_output=True, text=True, check=False)
    lines = (done.stdout or done.stderr).splitlines()
    return lines[0] if lines else None
