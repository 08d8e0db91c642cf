"""A Kerberos realm on this machine's loopback, all in one directory: /etc and a user's tickets are not touched."""

import os
import signal
import socket
import subprocess
from contextlib import suppress
from pathlib import Path
from typing import Self

from tests.rigs.availability import need
from tests.rigs.waiting import wait_until

REALM = "OCATTACH.TEST"
SERVER_CONFIGURATION = f"[libdefaults]\ndefault_realm = {REALM}\n"
"""For a machine, which decides on tickets by its keytab and talks to nobody."""

CONFIGURATION = """\
[libdefaults]
default_realm = {realm}
dns_lookup_kdc = false
dns_lookup_realm = false
dns_canonicalize_hostname = false
rdns = false
[realms]
{realm} = {{
  kdc = 127.0.0.1:{port}
}}
"""
KDC_CONFIGURATION = """\
[kdcdefaults]
kdc_listen = 127.0.0.1:{port}
kdc_tcp_listen = 127.0.0.1:{port}
[realms]
{realm} = {{
  database_name = {directory}/principal
  key_stash_file = {directory}/stash
}}
[logging]
kdc = FILE:{directory}/log
"""
MASTER_PASSWORD = "a password of the database"


class Realm:
    """A key distribution centre that runs, and what its clients need."""

    def __init__(self, directory: Path) -> None:
        """Keep everything in this directory."""
        need("krb5kdc", "kdb5_util", "kadmin.local", "kinit")
        self.directory = directory
        self.environment = {
            "KRB5_CONFIG": str(directory / "krb5.conf"),
            "KRB5CCNAME": f"FILE:{directory}/tickets",
        }
        self._everything = {
            **os.environ,
            **self.environment,
            "KRB5_KDC_PROFILE": str(directory / "kdc.conf"),
        }
        self._port = 0
        self._kdc: subprocess.Popen[bytes] | None = None

    def __enter__(self) -> Self:
        with socket.create_server(("127.0.0.1", 0)) as free:
            self._port = free.getsockname()[1]
        for file, text in (("krb5.conf", CONFIGURATION), ("kdc.conf", KDC_CONFIGURATION)):
            filled = text.format(realm=REALM, port=self._port, directory=self.directory)
            (self.directory / file).write_text(filled)
        self._run("kdb5_util", "create", "-s", "-P", MASTER_PASSWORD)
        self._kdc = subprocess.Popen(["krb5kdc", "-n"], env=self._everything, stdin=subprocess.DEVNULL)
        wait_until(self._answers, "the KDC")
        return self

    def __exit__(self, *_: object) -> None:
        if self._kdc is not None:
            self._kdc.send_signal(signal.SIGTERM)
            self._kdc.wait(30)

    def add_user(self, name: str, password: str) -> None:
        """Make an account."""
        self._run("kadmin.local", "addprinc", "-pw", password, name)

    def add_host(self, address: str) -> bytes:
        """Make the account of an ssh server; its keytab."""
        keytab = self.directory / f"{address}.keytab"
        self._run("kadmin.local", "addprinc", "-randkey", f"host/{address}")
        self._run("kadmin.local", "ktadd", "-k", str(keytab), f"host/{address}")
        return keytab.read_bytes()

    def log_in(self, name: str, password: str) -> None:
        """Fetch a ticket, as a user does in the morning."""
        self._run("kinit", name, stdin=f"{password}\n")

    def _run(self, *argv: str, stdin: str = "") -> None:
        done = subprocess.run(
            argv, env=self._everything, input=stdin, capture_output=True, text=True, check=False
        )
        if done.returncode:
            raise RuntimeError(f"{argv}: {done.stderr}")

    def _answers(self) -> bool:
        with suppress(OSError), socket.create_connection(("127.0.0.1", self._port), 5):
            return True
        return False
