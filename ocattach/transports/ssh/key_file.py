"""Files of private keys on this machine: which one a connection names, and why one cannot be used."""

import re
from pathlib import Path

from ocattach.config.files.safe import read_regular
from ocattach.config.targets.ssh import SSHTarget
from ocattach.errors import ConfigurationError, UnreachableError
from ocattach.printable import command_line

NAME_ANOTHER = "Name another with --identity"
PROBLEMS = (
    (re.compile(rb"\s*$"), "is empty"),
    (re.compile(rb"PuTTY-User-Key-File"), "has PuTTY's format"),
    (re.compile(rb"\s*(ssh-|ecdsa-|sk-)\S+ AAAA"), "is a public key, whose private key is not in an agent"),
    (re.compile(rb"(?!.*PRIVATE KEY-----)", re.DOTALL), "is not a private key"),
)
"""How the content of a file begins that is not a private key, and what it is."""


def own_key_file(target: SSHTarget) -> Path | None:
    """Return the key file of a connection; None if it names none. Raises UnreachableError if it cannot be read."""
    if target.identity_file is None:
        return None
    file = Path(target.identity_file).expanduser()
    if reason := read_key_file(file)[1]:
        raise UnreachableError(f"The identity file {file} {reason}", hint=NAME_ANOTHER)
    return file


def read_key_file(file: Path) -> tuple[bytes, str]:
    """Return the content of a file, or why it cannot be read."""
    try:
        return read_regular(file)[0], ""
    except FileNotFoundError:
        return b"", "does not exist"
    except OSError as error:
        return b"", f"cannot be read: {error.strerror}"
    except ConfigurationError:
        return b"", "is not a regular file"


def problem(file: Path) -> tuple[str, str]:
    """Return why a file could not be used as a private key, without its content, and a hint."""
    content, reason = read_key_file(file)
    reason = reason or next((what for begin, what in PROBLEMS if begin.match(content)), "")
    if reason == "has PuTTY's format":
        convert = command_line("puttygen", file, "-O", "private-openssh", "-o", f"{file}.openssh")
        return reason, f"Convert it: {convert}"
    if reason:
        return reason, NAME_ANOTHER
    certificate = file.with_name(f"{file.name}-cert.pub")
    either = f"or {certificate.name} beside it " if certificate.exists() else ""
    return f"{either}is damaged, or cannot be used without the ssh program", "Install OpenSSH's client here"
