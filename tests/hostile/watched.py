"""`ocattach` on a terminal whose every byte is seen, and what its link costs meanwhile."""

import os
import pty
import re
import select
import subprocess
import time
from dataclasses import dataclass
from pathlib import Path

from tests.main_job.laptop import OCATTACH, Laptop
from tests.rigs.waiting import wait_until

OWN_COLOURS = re.compile(rb"\x1b\[(?:3[0-9]|0)m")
RAW = re.compile(rb"[^\x20-\x7e\x80-\xff\r\n]")
PEAK = re.compile(r"VmHWM:\s+(\d+) kB")
TIMEOUT = 8
"""Seconds, as ocattach is told."""

PATIENCE = 28
"""Seconds more in which it must have ended: what its commands have after that, and a busy machine's."""


@dataclass(frozen=True, slots=True)
class Seen:
    """A run that ended."""

    exit_code: int
    output: bytes
    peak: int
    """The most memory that link and foreground had, each by itself, in MiB."""

    @property
    def raw(self) -> list[bytes]:
        """What could drive the terminal; our own colours cannot."""
        return RAW.findall(OWN_COLOURS.sub(b"", self.output))

    @property
    def text(self) -> str:
        """What a person reads."""
        return " ".join(OWN_COLOURS.sub(b"", self.output).decode(errors="replace").split())

    @property
    def errors(self) -> int:
        """How many errors were told."""
        return self.text.count("ocattach: ")


def run(laptop: Laptop, *arguments: str, timeout: int = TIMEOUT) -> Seen:
    """Run ocattach on a terminal to its end, and its link to its own."""
    near, far = pty.openpty()
    output, peak = b"", 0
    deadline = time.monotonic() + timeout + PATIENCE
    with subprocess.Popen(
        [*OCATTACH, *arguments, "--timeout", str(timeout)],
        env=dict(laptop.variables),
        cwd=laptop.cwd,
        stdin=far,
        stdout=far,
        stderr=far,
        start_new_session=True,
    ) as process:
        os.close(far)
        try:
            while chunk := read(near):
                output += chunk if chunk != b"\0" else b""
                peak = max([peak, memory(process.pid), *(memory(link.pid) for link in laptop.links())])
                if time.monotonic() > deadline:
                    raise TimeoutError(
                        f"ocattach did not end in {timeout + PATIENCE} s, and said: {output!r}"
                    )
        finally:
            process.kill()
            os.close(near)
    wait_until(lambda: not laptop.links(), "the link to end", timeout=PATIENCE)
    return Seen(process.returncode, output, peak)


def read(terminal: int) -> bytes:
    """What was printed, a NUL where nothing was for a moment; nothing once nobody can print any more."""
    ready, _, _ = select.select([terminal], [], [], 0.02)
    if not ready:
        return b"\0"
    try:
        return os.read(terminal, 65536)
    except OSError:  # EIO: the other side is closed
        return b""


def memory(pid: int) -> int:
    """The most resident memory that a process has had, in MiB."""
    try:
        found = PEAK.search(Path(f"/proc/{pid}/status").read_text())
    except OSError:
        return 0
    return int(found[1]) // 1024 if found else 0
