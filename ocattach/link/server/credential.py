"""The password and the preferred ports of a link's local port, the same from link to link."""

import hashlib
import os
import re
import secrets
import stat
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from ocattach.config.files.safe import read_with_status, write_text
from ocattach.errors import ConfigurationError
from ocattach.link.files import credential_file
from ocattach.opencode.endpoint import basic_authorization

USERNAME = "opencode"
"""OpenCode's own default, which every version of the TUI can send."""

PASSWORD = re.compile(r"[A-Za-z0-9_-]{43}")
"""256 bits, as `secrets.token_urlsafe` writes them."""

FIRST_PORT, PORTS = 20_000, 10_000
"""Below the ports that Linux (32768) and macOS (49152) use for outgoing connections, and Kubernetes for services."""

CANDIDATES = 8


@dataclass(frozen=True, slots=True)
class Credential:
    """The credentials that the gate of one environment's local port requires."""

    password: str = field(repr=False)
    username: str = USERNAME

    @property
    def authorization(self) -> str:
        """The header that carries it."""
        return basic_authorization(self.username, self.password)

    def to_json(self) -> dict[str, str]:
        """What a client is given; secret."""
        return {"username": self.username, "password": self.password}


def link_credential(key: str, environ: Mapping[str, str]) -> Credential:
    """The credential of an environment, made at its first use. Raises an OcattachError when it cannot be kept."""
    return Credential(kept_secret(credential_file(key, environ)))


def kept_secret(file: Path) -> str:
    """The secret in a file, made at its first use.

    One that others could have read or written is replaced. Raises an OcattachError when it cannot be kept.
    """
    try:
        found = read_with_status(file)
    except ConfigurationError:
        found = None
    if found is not None:
        text, status = found
        is_private = status.st_uid == os.getuid() and not stat.S_IMODE(status.st_mode) & 0o077
        if is_private and PASSWORD.fullmatch(text.strip()):
            return text.strip()
    secret = secrets.token_urlsafe(32)
    write_text(file, f"{secret}\n")
    return secret


def link_ports(key: str) -> list[int]:
    """The ports that an environment's link tries in turn; browsers and OpenCode Desktop keep what they know by port."""
    digest = hashlib.sha256(key.encode()).digest()
    return [
        FIRST_PORT + int.from_bytes(digest[2 * index : 2 * index + 2]) % PORTS for index in range(CANDIDATES)
    ]
