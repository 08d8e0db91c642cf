"""The known_hosts files: which keys a host is known by, and a new one written down as OpenSSH writes it."""

import base64
import binascii
import hashlib
import hmac
import logging
import os
import re
import subprocess
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from tempfile import NamedTemporaryFile

from ocattach.errors import HostKeyError

logger = logging.getLogger(__name__)

CERT_AUTHORITY, REVOKED = "@cert-authority", "@revoked"
HASHED = re.compile(r"\|1\|([^|]+)\|(.+)")
REVOCATION_LIST = b"SSHKRL\n\0"
"""How a key revocation list begins (OpenSSH, PROTOCOL.krl); what does not is a list of public keys."""

SALT_BYTES = hashlib.sha1(usedforsecurity=False).digest_size
ANSWER_SECONDS = 10
ENTRY_WORDS = 3
"""Names, type and key; a comment may follow."""


@dataclass(frozen=True, slots=True)
class KnownKey:
    """A key that a file has for a host."""

    marker: str
    """Empty, "@cert-authority" or "@revoked"."""

    key_type: str
    blob: bytes
    file: Path
    line: int

    @property
    def place(self) -> str:
        """Where it stands."""
        return f"{self.file}, line {self.line}"


def known_keys(files: Iterable[Path], name: str) -> list[KnownKey]:
    """Every key that the files have under a name, those of certificate authorities and revoked ones too."""
    return [key for file in files for names, key in entries(file) if covers(names, name)]


def entries(file: Path) -> Iterator[tuple[str, KnownKey]]:
    """The lines of a file that are entries: names, and key (sshd(8), SSH_KNOWN_HOSTS FILE FORMAT)."""
    try:
        lines = file.read_text(errors="replace").splitlines()
    except (FileNotFoundError, NotADirectoryError):
        return
    except OSError as error:
        raise HostKeyError(f"The known hosts cannot be read: {error}") from error
    for number, line in enumerate(lines, 1):
        words = line.split()
        marker = words.pop(0) if words and words[0].startswith("@") else ""
        if len(words) < ENTRY_WORDS or words[0].startswith("#"):
            continue
        try:
            blob = base64.b64decode(words[2])
        except (binascii.Error, ValueError):
            continue
        yield words[0], KnownKey(marker, words[1], blob, file, number)


def covers(names: str, name: str) -> bool:
    """Whether the names of an entry mean this one: hashed, or patterns separated by commas, `!` before some."""
    hashed = HASHED.fullmatch(names)
    if hashed:
        try:
            salt, digest = base64.b64decode(hashed[1]), base64.b64decode(hashed[2])
        except (binascii.Error, ValueError):
            return False
        return hmac.compare_digest(digest, hmac.digest(salt, name.encode(), "sha1"))
    patterns = names.lower().split(",")
    if any(matches(pattern[1:], name) for pattern in patterns if pattern.startswith("!")):
        return False
    return any(matches(pattern, name) for pattern in patterns)


def matches(pattern: str, name: str) -> bool:
    """Whether a name fits a pattern of OpenSSH's, where only `*` and `?` are special."""
    expression = re.escape(pattern).replace(r"\*", ".*").replace(r"\?", ".")
    return re.fullmatch(expression, name, re.DOTALL) is not None


def add_known_key(file: Path, name: str, key: str, *, hashed: bool) -> None:
    """Append a key, given as "TYPE BASE64", as OpenSSH does; the connection goes on where that is not possible."""
    try:
        file.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        with file.open("ab+") as known_hosts:
            before = known_hosts.tell()
            known_hosts.seek(max(0, before - 1))
            ends_a_line = not before or known_hosts.read() == b"\n"
            start = "" if ends_a_line else "\n"
            known_hosts.write(f"{start}{hashed_name(name) if hashed else name} {key}\n".encode())
    except OSError as error:
        logger.warning("The host's key could not be added to the known hosts: %s", error)


def hashed_name(name: str) -> str:
    """The name so that only who knows it can find it (HashKnownHosts)."""
    salt = os.urandom(SALT_BYTES)
    digest = hmac.digest(salt, name.encode(), "sha1")
    return f"|1|{base64.b64encode(salt).decode()}|{base64.b64encode(digest).decode()}"


def is_revoked(file: Path, blobs: Iterable[bytes]) -> bool:
    """Whether a file of RevokedHostKeys has one of these keys.

    Raises HostKeyError when it cannot be read: then nobody knows which keys are good.
    """
    try:
        content = file.read_bytes()
    except OSError as error:
        raise HostKeyError(f"The revoked host keys cannot be read, so no host is trusted: {error}") from error
    if content.startswith(REVOCATION_LIST):
        return any(is_in_revocation_list(file, blob) for blob in blobs)
    listed = {word for line in content.split(b"\n") if not line.startswith(b"#") for word in line.split()}
    return any(base64.b64encode(blob) in listed for blob in blobs)


def is_in_revocation_list(file: Path, blob: bytes) -> bool:
    """What ssh-keygen says of a key; anything but a clear no counts as revoked."""
    key_type = blob[4 : 4 + int.from_bytes(blob[:4])].decode(errors="replace")
    with NamedTemporaryFile("w", suffix=".pub") as key:
        key.write(f"{key_type} {base64.b64encode(blob).decode()}\n")
        key.flush()
        try:
            answer = subprocess.run(
                ["ssh-keygen", "-Q", "-f", str(file), key.name],  # noqa: S607 - the one that belongs to the ssh on PATH
                stdin=subprocess.DEVNULL,
                capture_output=True,
                timeout=ANSWER_SECONDS,
                check=False,
            )
        except (OSError, subprocess.TimeoutExpired) as error:
            raise HostKeyError(f"The revocation list {file} needs ssh-keygen to be read: {error}") from error
    return answer.returncode != 0
