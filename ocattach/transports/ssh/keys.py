"""The user's keys: those in the agent and those in files, with their certificates, none of them opened too early."""

import base64
import binascii
import socket
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from functools import partial
from io import StringIO
from pathlib import Path
from typing import Any

import paramiko
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric.ec import EllipticCurvePrivateKey
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    load_pem_private_key,
    load_ssh_private_key,
)
from paramiko.agent import AgentKey, AgentSSH

from ocattach.errors import AuthenticationError
from ocattach.printable import command_line
from ocattach.transports.base import Ask, Question
from ocattach.transports.ssh.config import Identities

AGENT_SECONDS = 60
"""How long an agent may take: some ask a person, or wait for a touch of a key."""

PASSPHRASE_TRIES = 3
"""As OpenSSH has it (NumberOfPasswordPrompts)."""

OPENSSH_PRIVATE = "-----BEGIN OPENSSH PRIVATE KEY-----"
OPENSSH_MAGIC = b"openssh-key-v1\0"
KEY_CLASSES: Mapping[type, type[paramiko.PKey]] = {
    RSAPrivateKey: paramiko.RSAKey,
    EllipticCurvePrivateKey: paramiko.ECDSAKey,
    Ed25519PrivateKey: paramiko.Ed25519Key,
}
PUBLIC_TYPES = ("ssh-", "ecdsa-", "sk-")
CERTIFICATE = "-cert-v01@openssh.com"


class Agent(AgentSSH):
    """The agent behind a socket; closing it twice is harmless."""

    def __init__(self, path: str) -> None:
        super().__init__()
        connection = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        connection.settimeout(AGENT_SECONDS)
        try:
            connection.connect(path)
            self._connect(connection)  # type: ignore[attr-defined]
        except BaseException:
            connection.close()
            raise

    def close(self) -> None:
        """End the conversation."""
        self._close()  # type: ignore[attr-defined]


@dataclass(frozen=True, slots=True)
class OfferedKey:
    """A key that a host may accept."""

    name: str
    """What people are told was tried."""

    blob: bytes
    """The public key, or the certificate around it."""

    load: Callable[[], paramiko.PKey]
    """Makes it ready to sign; may ask for a passphrase, and raises AuthenticationError where nobody tells it."""

    probe: bool = True
    """Whether to ask the host first if it would accept it: signing bothers a person."""

    @property
    def key_type(self) -> str:
        """The type of the blob."""
        return paramiko.Message(self.blob).get_text()


class Keys:
    """All keys to offer, in OpenSSH's order; a passphrase is asked for once. Close it: it talks to the agent."""

    def __init__(self, identities: Identities, ask: Ask | None) -> None:
        self._identities = identities
        self._ask = ask
        self._agent = open_agent(identities.agent)
        self._opened: dict[Path, paramiko.PKey] = {}

    def offers(self) -> Iterator[OfferedKey]:
        """The agent's keys that the configuration names, its others, then the rest of the files."""
        files = {file: public_blob(file) for file in self._identities.files}
        named = set(files.values())
        held = {bytes(key.blob): key for key in self._agent.get_keys()} if self._agent else {}
        for blob, key in sorted(held.items(), key=lambda item: item[0] not in named):
            if blob in named or not self._identities.only or certified_blob(blob) in named:
                yield from self._from_agent(blob, key)
        for file, public in files.items():
            if public not in held:
                yield from self._from_file(file, public)

    def _from_agent(self, blob: bytes, key: AgentKey) -> Iterator[OfferedKey]:
        name = f"agent key {key.comment or key.get_name()}"
        for shown in (*self._certificates_for(blob), blob):
            which = name if shown == blob else f"{name} with its certificate"
            yield OfferedKey(which, shown, partial(with_certificate, key, shown))

    def _from_file(self, file: Path, public: bytes | None) -> Iterator[OfferedKey]:
        if not file.is_file() or is_public(file):
            return  # its private half would have been in the agent
        if public is None:
            # An old format that keeps its public half secret, too: it has to be opened to be offered.
            public = self._open(file).asbytes()
        locked = is_locked(file)
        for shown in (*self._certificates_for(public, file), public):
            which = str(file) if shown == public else f"{file} with its certificate"
            yield OfferedKey(which, shown, partial(self._open_as, file, shown), probe=locked)

    def _certificates_for(self, blob: bytes, file: Path | None = None) -> Iterator[bytes]:
        """The certificates around a key: those that are named, else the one beside it."""
        places = list(self._identities.certificates)
        if not places:
            owners = [file] if file else [f for f in self._identities.files if public_blob(f) == blob]
            places = [owner.with_name(f"{owner.name.removesuffix('.pub')}-cert.pub") for owner in owners]
        for place in places:
            certificate = read_public(place)
            if certificate and certified_blob(certificate) == blob:
                yield certificate

    def _open(self, file: Path) -> paramiko.PKey:
        if file not in self._opened:
            self._opened[file] = load_key(file, self._ask)
        return self._opened[file]

    def _open_as(self, file: Path, shown: bytes) -> paramiko.PKey:
        return with_certificate(self._open(file), shown)

    def close(self) -> None:
        """Let go of the agent."""
        if self._agent:
            self._agent.close()


def open_agent(path: str | None) -> Agent | None:
    """The agent, None where there is none or it does not answer: the files are tried then, as OpenSSH does."""
    try:
        return Agent(path) if path else None
    except (OSError, paramiko.SSHException):
        return None


def with_certificate(key: paramiko.PKey, blob: bytes) -> paramiko.PKey:
    """The key so that it shows these bytes: its own, or a certificate's."""
    key.public_blob = paramiko.pkey.PublicBlob(paramiko.Message(blob).get_text(), blob)
    return key


def certified_blob(certificate: bytes) -> bytes | None:
    """The key inside a certificate; None when it is no certificate."""
    message = paramiko.Message(certificate)
    key_type = message.get_text()
    if not key_type.endswith(CERTIFICATE):
        return None
    message.get_binary()  # nonce
    plain = paramiko.Message()
    plain.add_string(key_type.removesuffix(CERTIFICATE))
    # The key's own fields come next (PROTOCOL.certkeys): a curve and a point, two numbers, or one string.
    for _ in range(2 if key_type.startswith(("ecdsa-", "ssh-rsa")) else 1):
        plain.add_string(message.get_binary())
    return plain.asbytes()


def public_blob(file: Path) -> bytes | None:
    """The public half of a key file, without its passphrase; None where that cannot be seen."""
    if is_public(file):
        return read_public(file)
    return blob_of_private(file) or read_public(file.with_name(f"{file.name}.pub"))


def read_public(file: Path) -> bytes | None:
    """The key in a file of one public key or certificate; None when it has none."""
    try:
        words = file.read_text(errors="replace").split(None, 2)
        return base64.b64decode(words[1]) if len(words) > 1 else None
    except (OSError, binascii.Error, ValueError):
        return None


def is_public(file: Path) -> bool:
    """Whether an identity file is the public half of a key."""
    try:
        with file.open(errors="replace") as text:
            return text.readline(64).startswith(PUBLIC_TYPES)
    except OSError:
        return False


def blob_of_private(file: Path) -> bytes | None:
    """The public key that OpenSSH's own format keeps beside the private one (PROTOCOL.key)."""
    message = private_header(file)
    if message is None:
        return None
    for _ in range(3):
        message.get_binary()  # cipher, its key derivation, and that one's options
    message.get_int()
    return message.get_binary()


def is_locked(file: Path) -> bool:
    """Whether a passphrase is needed to use a key file."""
    message = private_header(file)
    if message is not None:
        return message.get_text() != "none"
    return "ENCRYPTED" in file.read_text(errors="replace")[:512]


def private_header(file: Path) -> paramiko.Message | None:
    """A private key in OpenSSH's format, read up to its cipher; None when it is in another."""
    try:
        text = file.read_text(errors="replace").strip()
    except OSError:
        return None
    if not text.startswith(OPENSSH_PRIVATE):
        return None
    try:
        content = base64.b64decode("".join(text.splitlines()[1:-1]))
    except (binascii.Error, ValueError):
        return None
    if not content.startswith(OPENSSH_MAGIC):
        return None
    return paramiko.Message(content.removeprefix(OPENSSH_MAGIC))


def load_key(file: Path, ask: Ask | None) -> paramiko.PKey:
    """A private key, its passphrase asked for where it has one."""
    if not is_locked(file):
        return read_key(file, None)
    for _ in range(PASSPHRASE_TRIES):
        if ask is None:
            break
        passphrase = ask(Question(f"Enter passphrase for key '{file}': ", secret=True))
        if not passphrase:
            break  # as in OpenSSH, an empty answer passes the key over
        try:
            return read_key(file, passphrase)
        except AuthenticationError:
            continue
    raise AuthenticationError(
        f"The key {file} was not opened: it needs its passphrase",
        hint=f"Give it to an agent once: {command_line('ssh-add', file)}",
    )


def read_key(file: Path, passphrase: str | None) -> paramiko.PKey:
    """A private key; AuthenticationError when the passphrase is not its own, or the file is no key."""
    password = passphrase.encode() if passphrase else None
    try:
        content = file.read_bytes()
        is_openssh = content.lstrip().startswith(OPENSSH_PRIVATE.encode())
        secret: Any = (load_ssh_private_key if is_openssh else load_pem_private_key)(content, password)
        # paramiko reads not every format, and OpenSSH's own always.
        text = secret.private_bytes(Encoding.PEM, PrivateFormat.OpenSSH, NoEncryption()).decode()
        key_class = next(made for kind, made in KEY_CLASSES.items() if isinstance(secret, kind))
        return key_class.from_private_key(StringIO(text))
    except (OSError, paramiko.SSHException, UnsupportedAlgorithm, StopIteration, TypeError, ValueError):
        # What the library says of it is not passed on: it is about the content of a secret.
        raise AuthenticationError(
            f"The key file {file} cannot be read", hint=f"Try: {command_line('ssh-keygen', '-y', '-f', file)}"
        ) from None
