"""Whether a host's key, or the certificate around it, is the one that the user knows, by known_hosts (sshd(8))."""

import base64
import binascii
import hmac
import logging
import re
import time
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import paramiko
from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    PublicFormat,
    SSHCertificateType,
    load_ssh_public_identity,
)

from ocattach.errors import HostKeyError
from ocattach.transports.base import Ask, Question
from ocattach.transports.ssh.paramiko.config import INSTALL, HostConfig

logger = logging.getLogger(__name__)

CERT_AUTHORITY, REVOKED = "@cert-authority", "@revoked"
CERTIFICATE = "-cert-v01@openssh.com"
SHA1_SIGNATURE = "ssh-rsa"
"""The type of signature that OpenSSH accepts from no certificate authority (CASignatureAlgorithms)."""

ENTRY_WORDS = 3
"""Names, type and key; a comment may follow."""


class KnownKey(NamedTuple):
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
                return hmac.compare_digest(paramiko.HostKeys.hash_host(name, self.names), self.names)
            except (AssertionError, LookupError, binascii.Error):
                return False
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
    shown = f"{key.get_name()} {key.fingerprint}"  # as OpenSSH prints it
    signed = key.public_blob.key_blob if key.public_blob else b""
    certificate, signer = read_certificate(signed) if signed else (None, b"")
    blobs = {key.asbytes(), signed, signer} - {b""}
    for entry in known:  # revoked is a key, its certificate or the authority for any host and port
        if entry.marker == REVOKED and entry.blob in blobs:
            raise HostKeyError(
                f"The host key of {host.alias}, {shown}, is revoked ({entry.place}): refused",
                hint="Contact the host's administrator: a revoked key may be in the wrong hands",
            )
    entries = [entry for entry in known if entry.covers(host.name)]
    if signer and signer in {entry.blob for entry in entries if entry.marker == CERT_AUTHORITY}:
        if defect := certificate_defect(certificate, signed, signer, host.plain_name):
            raise HostKeyError(f"The host certificate of {host.alias} {defect}: refused")
        return
    plain = [entry for entry in entries if not entry.marker]
    # A key that is known for the host's standard port is accepted at its other ports, as in OpenSSH.
    others = [] if plain else [entry for entry in known if not entry.marker and entry.covers(host.plain_name)]
    if any(entry.blob == key.asbytes() for entry in plain or others):
        return
    if plain:
        raise HostKeyError(
            f"The host key of {host.alias} ({host.name}) has changed to {shown}: refused. "
            f"Another key is known: {plain[0].place}",
            hint=f"If the change is expected, remove that entry ({plain[0].place}) and connect again",
        )
    confirm_new_host(host, shown, ask)
    if ask and host.known_hosts:
        add_known_key(host.known_hosts[0], host.name, key, hashed=host.hashes_names)


def read_certificate(blob: bytes) -> tuple[Any, bytes]:
    """Return the certificate that a host sent around its key, and the authority's key. Raises HostKeyError."""
    line = f"{paramiko.Message(blob).get_text()} {base64.b64encode(blob).decode()}"
    try:
        certificate: Any = load_ssh_public_identity(line.encode())
        signer = certificate.signature_key().public_bytes(Encoding.OpenSSH, PublicFormat.OpenSSH)
    except (ValueError, AttributeError, UnsupportedAlgorithm) as error:
        raise HostKeyError(f"The host's certificate cannot be read: {error}", hint=INSTALL) from error
    return certificate, base64.b64decode(signer.split()[1])


def certificate_defect(certificate: Any, blob: bytes, signer: bytes, name: str) -> str | None:
    """Return why a certificate does not identify a host; None if it does (PROTOCOL.certkeys)."""
    if certificate.type is not SSHCertificateType.HOST:
        return "is one for users"
    if not certificate.valid_after <= time.time() < certificate.valid_before:
        return "is not valid at this time"
    principals = [principal.decode(errors="replace").lower() for principal in certificate.valid_principals]
    if principals and not any(matches(principal, name) for principal in principals):
        return f"is for {', '.join(principals)}, not for {name}"
    if certificate.critical_options:
        return "has critical options, which are not supported"
    try:
        certificate.verify_cert_signature()
    except (InvalidSignature, ValueError, UnsupportedAlgorithm):
        return "is forged"
    # It ends with the authority's key and the signature, each a string with its length.
    signature = paramiko.Message(blob.rpartition(signer)[2]).get_binary()
    is_sha1 = paramiko.Message(signature).get_text() == SHA1_SIGNATURE
    return "is signed with SHA-1" if is_sha1 else None


def confirm_new_host(host: HostConfig, shown: str, ask: Ask | None) -> None:
    """Return if StrictHostKeyChecking or the user accepts the key of an unknown host. Raises HostKeyError."""
    if host.strict == "yes":
        raise HostKeyError(
            f"The host key of {host.alias} is not known ({shown}) and StrictHostKeyChecking is yes: refused",
            hint="Add the key to your known_hosts after you have verified it",
        )
    if host.strict == "ask" and (ask is None or host.is_batch):
        raise HostKeyError(
            f"The host key of {host.alias} ({shown}) is not known yet",
            hint="Connect once on a terminal, which shows the key and asks",
        )
    if host.strict == "ask" and ask:
        question = (
            f"The authenticity of host {host.alias} ({host.name}) is not known.\n"
            f"Its key is {shown}.\nConnect and remember it?"
        )
        if ask(Question(question, confirm=True)) != "yes":
            raise HostKeyError(
                f"The host key of {host.alias} ({shown}) was not accepted",
                hint="Ask the host's administrator for the fingerprint of its key, and connect again",
            )


def add_known_key(file: Path, name: str, key: paramiko.PKey, *, hashed: bool) -> None:
    """Append a key. If that is not possible, the next connection asks again."""
    try:
        file.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        with file.open("ab+") as known_hosts:
            known_hosts.seek(max(0, known_hosts.tell() - 1))
            start = "" if known_hosts.read() in {b"", b"\n"} else "\n"
            shown = paramiko.HostKeys.hash_host(name) if hashed else name
            known_hosts.write(f"{start}{shown} {key.get_name()} {key.get_base64()}\n".encode())
    except OSError as error:
        logger.warning("The host's key could not be added to the known hosts: %s", error)
