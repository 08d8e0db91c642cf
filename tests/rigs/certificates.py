"""An authority of our own, and what it has signed, made with the openssl program."""

from pathlib import Path

from tests.rigs.availability import need
from tests.rigs.namespaces import run

DAYS = "2"
KEY = ("-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes")


MAY_SIGN = ("-addext", "keyUsage=critical,keyCertSign,cRLSign")
"""What an authority's certificate says of its key; Python from 3.13 on wants to read it (VERIFY_X509_STRICT)."""

KEY_IDENTIFIERS = "subjectKeyIdentifier=hash\nauthorityKeyIdentifier=keyid\n"
"""The same of those that it signs: lines of their extensions."""


class Authority:
    """Signs certificates; `folder` holds its ca.pem and its key."""

    def __init__(self, folder: Path, name: str) -> None:
        need("openssl")
        folder.mkdir(parents=True, exist_ok=True)
        self.folder = folder
        self.certificate = folder / "ca.pem"
        self._key = folder / "ca-key.pem"
        issue = (
            "-x509",
            "-days",
            DAYS,
            "-subj",
            f"/CN={name}",
            "-keyout",
            self._key,
            "-out",
            self.certificate,
        )
        run("openssl", "req", *KEY, *issue, *MAY_SIGN)

    def sign(self, folder: Path, name: str, *, usage: str, addresses: str = "") -> Path:
        """A folder with ca.pem, cert.pem and key.pem, as DOCKER_CERT_PATH wants it.

        `usage` is serverAuth or clientAuth, and `addresses` what stands in subjectAltName: `IP:127.0.0.1`.
        """
        folder.mkdir(parents=True, exist_ok=True)
        request, extensions = folder / "request.pem", folder / "extensions"
        extensions.write_text(
            f"{KEY_IDENTIFIERS}extendedKeyUsage = {usage}\n"
            + (f"subjectAltName = {addresses}\n" if addresses else "")
        )
        run("openssl", "req", *KEY, "-subj", f"/CN={name}", "-keyout", folder / "key.pem", "-out", request)
        signed_by = ("-CA", self.certificate, "-CAkey", self._key, "-CAcreateserial")
        files = ("-in", request, "-out", folder / "cert.pem", "-extfile", extensions)
        run("openssl", "x509", "-req", "-days", DAYS, *signed_by, *files)
        (folder / "ca.pem").write_bytes(self.certificate.read_bytes())
        return folder
