"""Whether a host's key, or the certificate around it, is the one that the user knows."""

import base64
import time
from collections.abc import Iterable, Sequence
from typing import Any

import paramiko
from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    PublicFormat,
    SSHCertificate,
    SSHCertificateType,
    load_ssh_public_identity,
)

from ocattach.errors import HostKeyError
from ocattach.transports.base import Ask, Question
from ocattach.transports.ssh.paramiko.config import INSTALL, HostConfig
from ocattach.transports.ssh.paramiko.known_hosts import (
    CERT_AUTHORITY,
    REVOKED,
    KnownKey,
    add_known_key,
    matches,
)

CERTIFICATE = "-cert-v01@openssh.com"
SHA1_SIGNATURE = "ssh-rsa"
"""The type of signature that OpenSSH accepts from no certificate authority (CASignatureAlgorithms)."""


def preferred_types(supported: Iterable[str], host: HostConfig, known: Iterable[KnownKey]) -> list[str]:
    """Return the order in which to request key types: first those that can be compared, as in OpenSSH.

    Certificates come first if an authority is known for the host.
    """
    entries = [entry for entry in known if entry.covers(host.name)]
    has = {entry.key_type for entry in entries if not entry.marker}
    has |= {"rsa-sha2-512", "rsa-sha2-256"} if "ssh-rsa" in has else set()
    plain = sorted(supported, key=lambda name: name not in has)
    trusts_authority = any(entry.marker == CERT_AUTHORITY for entry in entries)
    return [*(f"{name}{CERTIFICATE}" for name in plain if trusts_authority), *plain]


def check_host_key(host: HostConfig, key: paramiko.PKey, known: Sequence[KnownKey], ask: Ask | None) -> None:
    """Refuse a revoked key and another one than the known one; ask the user about a host that is not known.

    Without `ask`, nothing is asked and nothing is saved. Raises HostKeyError.
    """
    certificate = HostCertificate(key) if key.public_blob else None
    blobs = [key.asbytes(), *([certificate.blob, certificate.signer] if certificate else [])]
    refuse_revoked(host, shown(key), blobs, known)
    entries = [entry for entry in known if entry.covers(host.name)]
    authorities = [entry.blob for entry in entries if entry.marker == CERT_AUTHORITY]
    if certificate and certificate.signer in authorities:
        if reason := certificate.defect(host.plain_name):
            raise HostKeyError(f"The host certificate of {host.alias} {reason}: refused")
        return
    plain = [entry for entry in entries if not entry.marker]
    if any(entry.blob == key.asbytes() for entry in plain):
        return
    if plain:
        raise HostKeyError(
            f"The host key of {host.alias} ({host.name}) has changed to {shown(key)}: refused. "
            f"Another key is known: {plain[0].place}",
            hint=f"If the change is expected, remove that entry ({plain[0].place}) and connect again",
        )
    # A key that is known for the host's standard port is accepted at its other ports, as in OpenSSH.
    at_standard_port = (entry for entry in known if not entry.marker and entry.covers(host.plain_name))
    if not any(entry.blob == key.asbytes() for entry in at_standard_port):
        confirm_new_host(host, key, ask)


def refuse_revoked(host: HostConfig, key: str, blobs: Sequence[bytes], known: Iterable[KnownKey]) -> None:
    """Raise HostKeyError if a key, its certificate or the authority is revoked, for any host and port."""
    places = [entry.place for entry in known if entry.marker == REVOKED and entry.blob in blobs]
    if places:
        raise HostKeyError(
            f"The host key of {host.alias}, {key}, is revoked ({places[0]}): refused",
            hint="Contact the host's administrator: a revoked key may be in the wrong hands",
        )


def shown(key: paramiko.PKey) -> str:
    """Return the key for the user: type and fingerprint, as OpenSSH prints it."""
    return f"{key.get_name()} {key.fingerprint}"


class HostCertificate:
    """The certificate that a host sent around its key. Raises HostKeyError if it cannot be read."""

    def __init__(self, key: paramiko.PKey) -> None:
        self.blob = key.public_blob.key_blob if key.public_blob else b""
        line = f"{paramiko.Message(self.blob).get_text()} {base64.b64encode(self.blob).decode()}"
        try:
            certificate: Any = load_ssh_public_identity(line.encode())
            signer = certificate.signature_key().public_bytes(Encoding.OpenSSH, PublicFormat.OpenSSH)
        except (ValueError, AttributeError, UnsupportedAlgorithm) as error:
            raise HostKeyError(f"The host's certificate cannot be read: {error}", hint=INSTALL) from error
        self._certificate: SSHCertificate = certificate
        self.signer = base64.b64decode(signer.split()[1])
        """The authority's key."""

    def defect(self, name: str) -> str | None:
        """Return why the certificate does not identify a host; None if it does (PROTOCOL.certkeys)."""
        certificate = self._certificate
        if certificate.type is not SSHCertificateType.HOST:
            return "is one for users"
        if not certificate.valid_after <= time.time() < certificate.valid_before:
            return "is not valid at this time"
        principals = [
            principal.decode(errors="replace").lower() for principal in certificate.valid_principals
        ]
        if principals and not any(matches(principal, name) for principal in principals):
            return f"is for {', '.join(principals)}, not for {name}"
        if certificate.critical_options:
            return "has critical options, which are not supported"
        try:
            certificate.verify_cert_signature()
        except (InvalidSignature, ValueError, UnsupportedAlgorithm):
            return "is forged"
        # It ends with the authority's key and the signature, each a string with its length.
        signature = paramiko.Message(self.blob.rpartition(self.signer)[2]).get_binary()
        is_sha1 = paramiko.Message(signature).get_text() == SHA1_SIGNATURE
        return "is signed with SHA-1" if is_sha1 else None


def confirm_new_host(host: HostConfig, key: paramiko.PKey, ask: Ask | None) -> None:
    """Accept the key of an unknown host if StrictHostKeyChecking or the user does, and save it."""
    if host.strict == "yes":
        raise HostKeyError(
            f"The host key of {host.alias} is not known ({shown(key)}) and StrictHostKeyChecking is yes: refused",
            hint="Add the key to your known_hosts after you have verified it",
        )
    if ask is None and host.strict == "ask":
        raise HostKeyError(
            f"The host key of {host.alias} ({shown(key)}) is not known yet",
            hint="Connect once on a terminal, which shows the key and asks",
        )
    if ask and host.strict == "ask":
        question = (
            f"The authenticity of host {host.alias} ({host.name}) is not known.\n"
            f"Its key is {shown(key)}.\nConnect and remember it?"
        )
        if host.is_batch or ask(Question(question, confirm=True)) != "yes":
            raise HostKeyError(
                f"The host key of {host.alias} ({shown(key)}) was not accepted",
                hint="Ask the host's administrator for the fingerprint of its key, and connect again",
            )
    if ask and host.known_hosts:
        add_known_key(host.known_hosts[0], host.name, key, hashed=host.hashes_names)
