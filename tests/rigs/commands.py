"""Commands on this machine, as the rooms that run commands in environments want them."""

import subprocess
from collections.abc import Sequence

from ocattach.execution import CommandResult


def run_here(argv: Sequence[str], *, stdin: bytes = b"", timeout: float) -> CommandResult:
    """Run a command to its end."""
    done = subprocess.run(argv, input=stdin, capture_output=True, timeout=timeout, check=False)
    return CommandResult(done.returncode, done.stdout, done.stderr)
