"""A FIDO security key in software: the dummy with which OpenSSH tests itself, and a person's finger on it."""

from pathlib import Path

from tests.rigs.availability import Unavailable, need

PROVIDER = Path(__file__).resolve().parents[2] / ".tools/sk-dummy.so"
HELPERS = ("/usr/lib/openssh/ssh-sk-helper", "/usr/libexec/openssh/ssh-sk-helper")
WAIT = """#!/bin/sh
until [ -e '{touched}' ]; do sleep 0.02; done
exec {helper} "$@"
"""


class SecurityKey:
    """A security key. It signs once it is touched; the dummy by itself signs at once."""

    def __init__(self, folder: Path) -> None:
        need("ssh-keygen")
        if not PROVIDER.exists():
            raise Unavailable(f"there is no {PROVIDER}: scripts/install-test-tools")
        program = next((name for name in HELPERS if Path(name).exists()), None)
        if program is None:
            raise Unavailable("not installed: ssh-sk-helper")
        self.provider = PROVIDER
        """The library for ssh's SecurityKeyProvider."""
        self.helper = folder / "sk-helper"
        """The program for SSH_SK_HELPER, which ssh runs to have something signed."""
        self._touched = folder / "touched"
        self.helper.write_text(WAIT.format(touched=self._touched, helper=program))
        self.helper.chmod(0o755)

    def touch(self) -> None:
        """Touch it, and leave the finger there."""
        self._touched.touch()

    def release(self) -> None:
        """Take the finger away."""
        self._touched.unlink()
