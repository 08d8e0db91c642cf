"""Host keys that are revoked for a host at its standard port, which ssh accepts at another one (sshconnect.c)."""

import subprocess
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

from ocattach.transports.ssh.openssh.settings import ANSWER_SECONDS, Settings

STANDARD_PORT = "22"
REVOKED = "@revoked"


def write_revoked_keys(settings: Settings, file: Path) -> bool:
    """Write the keys that are revoked for the host as entries for its port. Returns whether there are any."""
    lines = list(revoked_keys(settings))
    if lines:
        file.write_text("".join(f"{line}\n" for line in lines))
    return bool(lines)


def revoked_keys(settings: Settings) -> Iterator[str]:
    """Yield lines for a known_hosts file."""
    host, port = settings.hostname, settings["port"]
    if port == STANDARD_PORT or settings["hostkeyalias"]:
        return
    for file in settings.files("userknownhostsfile") + settings.files("globalknownhostsfile"):
        for line in found_lines(file, host):
            if line.startswith(f"{REVOKED} "):
                _, _, key = line.split(maxsplit=2)
                yield f"{REVOKED} [{host}]:{port} {key}"


def found_lines(file: Path, host: str) -> list[str]:
    """Return the lines for a host in a known_hosts file, if one of any host is revoked there."""
    with suppress(OSError, subprocess.TimeoutExpired):
        if REVOKED.encode() in file.read_bytes():
            argv = ["ssh-keygen", "-F", host, "-f", str(file)]
            found = subprocess.run(argv, capture_output=True, timeout=ANSWER_SECONDS, check=False)
            return found.stdout.decode(errors="replace").splitlines()
    return []
