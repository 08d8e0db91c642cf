"""Recognising a host by its key, or by a certificate for it, as `ssh` does."""

import base64
import hashlib
import time
from collections.abc import Iterable
from dataclasses import dataclass

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    PublicFormat,
    SSHCertificate,
    SSHCertificateType,
    load_ssh_public_identity,
)

from ocattach.errors import HostKeyError
from ocattach.printable import command_line
from ocattach.transports.base import Ask, Question
from ocattach.transports.ssh.config import HostConfig
from ocattach.transports.ssh.known_hosts import (
    CERT_AUTHORITY,
    REVOKED,
    KnownKey,
    add_known_key,
    is_revoked,
    known_keys,
    matches,
)

CERTIFICATE = "-cert-v01@openssh.com"
SHA1_SIGNATURE = "ssh-rsa"
"""The kind of signature that OpenSSH takes from no authority (CASignatureAlgorithms)."""


@dataclass(frozen=True, slots=True)
class HostKey:
    """What a host showed: a key, and where it has one the certificate around it."""

    key_type: str
    blob: bytes
    certificate: SSHCertificate | None = None

    @classmethod
    def from_blob(cls, blob: bytes) -> "HostKey":
        """The key that was sent. Raises HostKeyError when it is none."""
        try:
            identity = load_ssh_public_identity(public_line(blob).encode())
        except ValueError as error:
            raise HostKeyError(f"The host's key cannot be read: {error}") from error
        if not isinstance(identity, SSHCertificate):
            return cls(type_of(blob), blob)
        plain = identity.public_key().public_bytes(Encoding.OpenSSH, PublicFormat.OpenSSH)
        inner = base64.b64decode(plain.split()[1])
        return cls(type_of(inner), inner, identity)

    @property
    def fingerprint(self) -> str:
        """As OpenSSH shows it."""
        digest = base64.b64encode(hashlib.sha256(self.blob).digest()).decode()
        return f"SHA256:{digest.rstrip('=')}"

    @property
    def shown(self) -> str:
        """The key for people."""
        return f"{self.key_type} {self.fingerprint}"


def type_of(blob: bytes) -> str:
    """The type that a key's bytes begin with."""
    return blob[4 : 4 + int.from_bytes(blob[:4])].decode(errors="replace")


def public_line(blob: bytes) -> str:
    """A key as files have it: "TYPE BASE64"."""
    return f"{type_of(blob)} {base64.b64encode(blob).decode()}"


def keys_for(config: HostConfig) -> list[KnownKey]:
    """What the files say of a host."""
    known = config.known_hosts
    return known_keys((*known.files, *known.global_files), known.name)


def preferred_types(supported: Iterable[str], known: Iterable[KnownKey]) -> tuple[str, ...]:
    """The order in which to ask a host for keys: first what can be compared, as OpenSSH does.

    Certificates come first where an authority is known for the host, and not at all where none is.
    """
    plain = [name for name in supported if not name.endswith(CERTIFICATE)]
    has = {key.key_type for key in known if not key.marker}
    plain.sort(key=lambda name: not (name in has or (name.startswith("rsa-sha2-") and "ssh-rsa" in has)))
    trusts_authority = any(key.marker == CERT_AUTHORITY for key in known)
    return (*(f"{name}{CERTIFICATE}" for name in plain if trusts_authority), *plain)


def check_host_key(config: HostConfig, blob: bytes, known: list[KnownKey], ask: Ask | None) -> None:
    """Refuse a host with a revoked key or another than the known one; ask about one that was never met.

    Without `ask` nothing is asked and nothing is written down.
    """
    key = HostKey.from_blob(blob)
    refuse_revoked(config, key, known)
    if key.certificate and is_certified(config, key.certificate, known):
        return
    plain = [entry for entry in known if not entry.marker]
    if any(entry.blob == key.blob for entry in plain):
        return
    if plain:
        raise HostKeyError(
            f"The host key of {config.alias} ({config.known_hosts.name}) has changed to {key.shown}: refused. "
            f"Known is another one: {plain[0].place}",
            hint="If the change is expected: "
            f"{command_line('ssh-keygen', '-f', plain[0].file, '-R', config.known_hosts.name)}, and connect again",
        )
    if not is_known_without_port(config, key):
        confirm_new_host(config, key, ask)


def refuse_revoked(config: HostConfig, key: HostKey, known: list[KnownKey]) -> None:
    """Raise HostKeyError for a key that must not be used any more, or whose authority must not.

    An entry without a port counts for every port of the host.
    """
    blobs = [key.blob]
    if key.certificate:
        blobs += [signer(key.certificate), whole(key.certificate)]
    entries = [*known, *known_without_port(config)]
    place = next((entry.place for entry in entries if entry.marker == REVOKED and entry.blob in blobs), None)
    revoked = config.known_hosts.revoked
    if place is None and revoked and is_revoked(revoked, blobs):
        place = str(revoked)
    if place:
        raise HostKeyError(
            f"The host key of {config.alias}, {key.shown}, is revoked ({place}): refused",
            hint="Ask who runs the host: a revoked key may be in the wrong hands",
        )


def is_certified(config: HostConfig, certificate: SSHCertificate, known: list[KnownKey]) -> bool:
    """Whether an authority that is known for the host vouches for it.

    Raises HostKeyError when a known authority's certificate does not hold.
    """
    authority = signer(certificate)
    if not any(entry.marker == CERT_AUTHORITY and entry.blob == authority for entry in known):
        return False
    reason = defect(certificate, config.known_hosts.plain_name)
    if reason:
        raise HostKeyError(f"The host certificate of {config.alias} {reason}: refused")
    return True


def defect(certificate: SSHCertificate, name: str) -> str | None:
    """What keeps a certificate from vouching for a host, in words; None when it does (PROTOCOL.certkeys)."""
    now = time.time()
    if certificate.type is not SSHCertificateType.HOST:
        return "is one for users"
    if not certificate.valid_after <= now < certificate.valid_before:
        return "is not valid at this time"
    principals = [principal.decode(errors="replace").lower() for principal in certificate.valid_principals]
    if principals and not any(matches(principal, name) for principal in principals):
        return f"is for {', '.join(principals)}, not for {name}"
    if certificate.critical_options:
        return "has conditions that are not understood here"
    try:
        certificate.verify_cert_signature()
    except InvalidSignature:
        return "is forged"
    # The authority's key, then the signature as one string, are what a certificate ends with.
    signature = whole(certificate).rpartition(signer(certificate))[2][4:]
    return "is signed with SHA-1" if type_of(signature) == SHA1_SIGNATURE else None


def whole(certificate: SSHCertificate) -> bytes:
    """The certificate as it was sent."""
    return base64.b64decode(certificate.public_bytes().split()[1])


def signer(certificate: SSHCertificate) -> bytes:
    """The authority's key."""
    line = certificate.signature_key().public_bytes(Encoding.OpenSSH, PublicFormat.OpenSSH)
    return base64.b64decode(line.split()[1])


def is_known_without_port(config: HostConfig, key: HostKey) -> bool:
    """Whether the host has this very key at its standard port, which OpenSSH takes for enough."""
    return any(entry.blob == key.blob for entry in known_without_port(config) if not entry.marker)


def known_without_port(config: HostConfig) -> list[KnownKey]:
    """What the files say of a host at its standard port, if that is not the one to connect to."""
    known = config.known_hosts
    if known.name == known.plain_name:
        return []
    return known_keys((*known.files, *known.global_files), known.plain_name)


def confirm_new_host(config: HostConfig, key: HostKey, ask: Ask | None) -> None:
    """Decide about a host that was never met, as StrictHostKeyChecking says, and remember it."""
    known = config.known_hosts
    if known.strict == "yes":
        raise HostKeyError(
            f"The host key of {config.alias} is not known ({key.shown}) and StrictHostKeyChecking is yes: refused",
            hint="Add the key to your known_hosts once you have verified it",
        )
    if ask is None:
        if known.strict == "ask":
            raise HostKeyError(
                f"The host key of {config.alias} ({key.shown}) is not known yet",
                hint=f"Connect once, which shows it and asks: {command_line('ssh', config.alias)}",
            )
        return
    if known.strict == "ask":
        question = (
            f"The authenticity of host {config.alias} ({known.name}) is not known.\n"
            f"Its key is {key.shown}.\nConnect and remember it?"
        )
        if config.batch or ask(Question(question, confirm=True)) != "yes":
            raise HostKeyError(
                f"The host key of {config.alias} ({key.shown}) was not accepted",
                hint="Ask who runs the host for the fingerprint of its key, and connect again",
            )
    if known.files:
        add_known_key(known.files[0], known.name, public_line(key.blob), hashed=known.hashed)
