"""Codes that change with the time, as telephones show them (RFC 6238), and the file that PAM checks them with."""

import base64
import hmac
import struct
import time
from pathlib import Path

from tests.rigs.availability import Unavailable

SECRET = base64.b32encode(b"a secret of tests").decode().rstrip("=")
STEP_SECONDS = 30
FILE = f'{SECRET}\n" WINDOW_SIZE 17\n" TOTP_AUTH\n'
"""For pam_google_authenticator; codes of the last minutes are good, too."""

PAM = """\
auth required pam_unix.so
auth required pam_google_authenticator.so secret=/run/machine/codes user=root echo_verification_code
account required pam_unix.so
session required pam_permit.so
"""
"""First the password, then the code, which may be seen while it is typed."""

MODULE = "*/security/pam_google_authenticator.so"


def need_module() -> None:
    """Raise Unavailable where PAM cannot check codes."""
    if not any(Path(folder).glob(MODULE) for folder in ("/lib", "/usr/lib")):
        raise Unavailable("not installed: pam_google_authenticator")


def code_of_now() -> str:
    """The code that a telephone shows now."""
    key = base64.b32decode(SECRET + "=" * (-len(SECRET) % 8))
    digest = hmac.digest(key, struct.pack(">Q", int(time.time()) // STEP_SECONDS), "sha1")
    offset = digest[-1] & 0xF
    (number,) = struct.unpack(">I", digest[offset : offset + 4])
    return f"{(number & 0x7FFFFFFF) % 1_000_000:06d}"
