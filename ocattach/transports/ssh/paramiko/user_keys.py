"""The keys to log in with: those of an agent and of files, with their certificates."""

from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from queue import Empty, SimpleQueue
from tempfile import TemporaryDirectory
from threading import Thread
from typing import Any

import paramiko
from cryptography.exceptions import UnsupportedAlgorithm
from paramiko.pkey import PublicBlob, UnknownKeyType

from ocattach.transports.ssh.paramiko.config import public_file

AGENT_SECONDS = 60
"""How long an agent may take to answer: some ask the user, or wait for the touch of a key."""

UNUSABLE = (OSError, ValueError, TypeError, paramiko.SSHException, UnknownKeyType, UnsupportedAlgorithm)
"""What `PKey.from_path` (paramiko 5.1) raises; TypeError if a passphrase is missing, ValueError if it is wrong."""

NamedKey = tuple[str, paramiko.PKey]
"""A key, and how messages call it."""


class AgentKey(paramiko.AgentKey):
    """A key in an agent. If the agent does not sign, the host refuses the key; an error would end the connection."""

    def sign_ssh_data(self, data: Any, algorithm: str | None = None) -> paramiko.Message:
        try:
            return super().sign_ssh_data(data, algorithm)
        except (OSError, paramiko.SSHException):
            return paramiko.Message()


def open_agent() -> paramiko.Agent | None:
    """Return the agent of SSH_AUTH_SOCK; None if it does not answer, and the files have to do."""
    opened: SimpleQueue[paramiko.Agent | None] = SimpleQueue()

    def connect() -> None:
        try:
            opened.put(paramiko.Agent())
        except (OSError, paramiko.SSHException):
            opened.put(None)

    Thread(target=connect, name="ocattach-ssh-agent", daemon=True).start()
    try:
        return opened.get(timeout=AGENT_SECONDS)
    except Empty:
        return None


def read_key(file: Path, passphrase: Any = None) -> paramiko.PKey:
    """Return the key in a regular file, without its certificate. Raises one of `UNUSABLE`.

    `PKey.from_path` (paramiko 5.1) wants the passphrase as bytes, and fails if a certificate beside the file is odd: it
    is given a link without one.
    """
    if not file.is_file():
        raise FileNotFoundError(file)
    with TemporaryDirectory() as folder:
        link = Path(folder, "key")
        link.symlink_to(file.absolute())
        return paramiko.PKey.from_path(link, passphrase)


def public_blob(file: Path) -> bytes | None:
    """Return the public half of a key, from the file beside it; None if that cannot be read."""
    try:
        return bytes(PublicBlob.from_string(public_file(file).read_text()).key_blob)
    except (OSError, ValueError, paramiko.SSHException):
        return None


def with_certificate(name: str, key: paramiko.PKey, file: Path | None) -> Iterator[NamedKey]:
    """Yield a key with the certificate beside its file, if there is one, and then alone."""
    if file:
        with suppress(*UNUSABLE):
            key.load_certificate(str(file.with_name(f"{file.name.removesuffix('.pub')}-cert.pub")))
    if key.public_blob:
        yield f"{name} with its certificate", key
    # paramiko (5.1) would show an agent's RSA certificate as the key inside it.
    key.public_blob = PublicBlob(key.get_name(), key.blob) if isinstance(key, AgentKey) else None
    yield name, key
