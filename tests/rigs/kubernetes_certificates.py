"""The certificates of a cluster: each part of it and each of its users proves by one who it is."""

from dataclasses import dataclass
from pathlib import Path

from tests.rigs.certificates import KEY_IDENTIFIERS, MAY_SIGN
from tests.rigs.namespaces import run

DAYS = "2"


@dataclass(frozen=True, slots=True)
class Identity:
    """A certificate and its key."""

    certificate: Path
    key: Path


class Authority:
    """A cluster's own certificate authority."""

    def __init__(self, folder: Path) -> None:
        """Keep all certificates in this folder."""
        folder.mkdir(parents=True)
        self._folder = folder
        self.certificate = folder / "ca.crt"
        self._key = _new_key(folder / "ca.key")
        subject = ("-subj", "/CN=ocattach-test", "-days", DAYS)
        run(
            "openssl",
            "req",
            "-x509",
            "-new",
            "-key",
            self._key,
            *subject,
            *MAY_SIGN,
            "-out",
            self.certificate,
        )

    def client(self, name: str, *groups: str) -> Identity:
        """A certificate by which a client is this user of these groups."""
        return self._issue(name, "".join(f"/O={group}" for group in groups) + f"/CN={name}", "clientAuth")

    def server(self, name: str, *addresses: str) -> Identity:
        """A certificate by which a server is at these addresses."""
        names = ",".join(f"IP:{address}" for address in addresses)
        return self._issue(name, f"/CN={name}", f"serverAuth\nsubjectAltName={names}")

    def key_pair(self, name: str) -> Identity:
        """A key and, in the place of a certificate, its public half."""
        key, public = _new_key(self._folder / f"{name}.key"), self._folder / f"{name}.pub"
        run("openssl", "ec", "-in", key, "-pubout", "-out", public)
        return Identity(public, key)

    def _issue(self, name: str, subject: str, usage: str) -> Identity:
        file = self._folder / name.replace(":", "-")
        request, extensions, certificate = (Path(f"{file}.{end}") for end in ("csr", "ext", "crt"))
        key = _new_key(Path(f"{file}.key"))
        extensions.write_text(f"{KEY_IDENTIFIERS}extendedKeyUsage={usage}\n")
        run("openssl", "req", "-new", "-key", key, "-subj", subject, "-out", request)
        authority = ("-CA", self.certificate, "-CAkey", self._key, "-CAcreateserial", "-days", DAYS)
        signing = ("-req", "-in", request, "-extfile", extensions, "-out", certificate)
        run("openssl", "x509", *signing, *authority)
        return Identity(certificate, key)


def _new_key(path: Path) -> Path:
    run("openssl", "ecparam", "-name", "prime256v1", "-genkey", "-noout", "-out", path)
    return path
