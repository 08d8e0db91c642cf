"""The known_hosts files: the keys that a host is known by, and how a new one is added (sshd(8))."""

import base64
import binascii
import hmac
import logging
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

import paramiko

from ocattach.errors import HostKeyError

logger = logging.getLogger(__name__)

CERT_AUTHORITY, REVOKED = "@cert-authority", "@revoked"
ENTRY_WORDS = 3
"""Names, type and key; a comment may follow."""


@dataclass(frozen=True, slots=True)
class KnownKey:
    """A line of a known_hosts file."""

    marker: str
    """Empty, "@cert-authority" or "@revoked"."""

    names: str
    key_type: str
    blob: bytes
    place: str
    """File and line."""

    def covers(self, name: str) -> bool:
        """Whether the line is about a name: hashed, or comma-separated patterns, `!` before exceptions."""
        if self.names.startswith("|1|"):
            try:
                hashed = paramiko.HostKeys.hash_host(name, self.names)
            except (AssertionError, LookupError, binascii.Error):
                return False
            return hmac.compare_digest(hashed, self.names)
        patterns = self.names.lower().split(",")
        is_exception = any(matches(pattern[1:], name) for pattern in patterns if pattern.startswith("!"))
        return not is_exception and any(matches(pattern, name) for pattern in patterns)


def known_keys(files: Iterable[Path]) -> Iterator[KnownKey]:
    """Yield every line of the files that is an entry. Raises HostKeyError if a file cannot be read."""
    for file in files:
        try:
            lines = file.read_text(errors="replace").splitlines()
        except (FileNotFoundError, NotADirectoryError):
            continue
        except OSError as error:
            raise HostKeyError(f"The known hosts cannot be read: {error}") from error
        for number, line in enumerate(lines, 1):
            words = line.split()
            marker = words.pop(0) if words and words[0].startswith("@") else ""
            if len(words) < ENTRY_WORDS or words[0].startswith("#"):
                continue
            try:
                blob = base64.b64decode(words[2])
            except ValueError:
                continue
            yield KnownKey(marker, words[0], words[1], blob, f"{file}, line {number}")


def matches(pattern: str, name: str) -> bool:
    """Whether a name matches one of OpenSSH's patterns, in which only `*` and `?` are special."""
    expression = re.escape(pattern).replace(r"\*", ".*").replace(r"\?", ".")
    return re.fullmatch(expression, name, re.DOTALL) is not None


def add_known_key(file: Path, name: str, key: paramiko.PKey, *, hashed: bool) -> None:
    """Append a key. If that is not possible, the next connection asks again."""
    try:
        file.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        with file.open("ab+") as known_hosts:
            before = known_hosts.tell()
            known_hosts.seek(max(0, before - 1))
            start = "" if known_hosts.read() in {b"", b"\n"} else "\n"
            shown = paramiko.HostKeys.hash_host(name) if hashed else name
            known_hosts.write(f"{start}{shown} {key.get_name()} {key.get_base64()}\n".encode())
    except OSError as error:
        logger.warning("The host's key could not be added to the known hosts: %s", error)
