"""A real gateway in front of a daemon: nginx, with TLS, a path of its own, and a key that it asks for."""

import ssl
import subprocess
from dataclasses import dataclass
from pathlib import Path
from typing import Self

from tests.rigs.availability import need
from tests.rigs.certificates import KEY_IDENTIFIERS, MAY_SIGN
from tests.rigs.namespaces import run
from tests.rigs.waiting import wait_until

NGINX = "/usr/sbin/nginx"
BASE_PATH = "/team/opencode"
KEY_HEADER = "X-Gateway-Key"
KEY = "let-me-through"

CONFIG = """\
daemon off;
user root;
pid {directory}/nginx.pid;
error_log {directory}/error.log;
worker_processes 1;
events {{ worker_connections 1024; }}
http {{
  access_log {directory}/access.log;
  client_body_temp_path {directory}/body;
  proxy_temp_path {directory}/proxy;
  fastcgi_temp_path {directory}/fastcgi;
  uwsgi_temp_path {directory}/uwsgi;
  scgi_temp_path {directory}/scgi;
  client_max_body_size 64m;
  server {{
    listen 127.0.0.1:{port} ssl;
    ssl_certificate {certificate};
    ssl_certificate_key {key};
    location = / {{ return 200 "Welcome"; }}
    location {base}/ {{
      {demand}
      proxy_pass http://127.0.0.1:{daemon_port}/;
      proxy_http_version 1.1;
      proxy_buffering off;
      proxy_set_header Connection "";
    }}
  }}
}}
"""
DEMAND = f'if ($http_{KEY_HEADER.lower().replace("-", "_")} != "{KEY}") {{ return 403 "The gateway wants its key"; }}'


@dataclass(frozen=True, slots=True)
class Certificate:
    """A certificate and its key, as files."""

    file: Path
    key: Path


class Authority:
    """A CA of one's own."""

    def __init__(self, directory: Path) -> None:
        need("openssl")
        directory.mkdir(exist_ok=True)
        self._directory = directory
        self.file, self._key = directory / "ca.pem", directory / "ca.key"
        new_key = ("-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes")
        self._request = ("openssl", "req", *new_key, "-subj", "/CN=A gateway")
        run(*self._request, "-x509", "-days", "2", *MAY_SIGN, "-keyout", self._key, "-out", self.file)

    def certificate(
        self, name: str, *, names: str = "IP:127.0.0.1,DNS:localhost", days: int = 2
    ) -> Certificate:
        """A certificate for these names; one for -1 days has expired."""
        file, key, request = (self._directory / f"{name}.{kind}" for kind in ("pem", "key", "csr"))
        extensions = self._directory / f"{name}.ext"
        extensions.write_text(f"{KEY_IDENTIFIERS}subjectAltName={names}\n")
        run(*self._request, "-keyout", key, "-out", request)
        signing = ("-CA", self.file, "-CAkey", self._key, "-CAcreateserial", "-days", str(days))
        run("openssl", "x509", "-req", "-in", request, *signing, "-extfile", extensions, "-out", file)
        return Certificate(file, key)


def server_context(certificate: Certificate) -> ssl.SSLContext:
    """TLS for a server of the test's own."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate.file, certificate.key)
    return context


class Nginx:
    """A running nginx, with its configuration and its logs in a directory."""

    def __init__(self, directory: Path, config: str) -> None:
        need(NGINX)
        self._directory = directory
        (directory / "nginx.conf").write_text(config)
        self.start()

    def start(self) -> None:
        """Start it, for the first time or after `close`."""
        config, errors = self._directory / "nginx.conf", self._directory / "error.log"
        self._process = subprocess.Popen(
            [NGINX, "-p", self._directory, "-c", config, "-e", errors],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        wait_until(self._is_up, "nginx to start")

    @property
    def requests(self) -> list[str]:
        """The request lines that it has answered, by its own log."""
        log = self._directory / "access.log"
        return [line.split('"')[1] for line in log.read_text().splitlines()] if log.exists() else []

    @property
    def statuses(self) -> list[int]:
        """How it has answered them."""
        log = self._directory / "access.log"
        return [int(line.split('"')[2].split()[0]) for line in log.read_text().splitlines()]

    def close(self) -> None:
        """End it."""
        self._process.terminate()
        self._process.wait(10)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _is_up(self) -> bool:
        if self._process.poll() is not None:
            raise RuntimeError((self._directory / "error.log").read_text())
        return (self._directory / "nginx.pid").exists()


class Gateway(Nginx):
    """One that leads to a daemon on a port of this machine's loopback."""

    def __init__(
        self, directory: Path, daemon_port: int, *, port: int, authority: Authority, wants_key: bool = False
    ) -> None:
        directory.mkdir(exist_ok=True)
        certificate = authority.certificate("gateway")
        self.url = f"https://127.0.0.1:{port}{BASE_PATH}"
        super().__init__(
            directory,
            CONFIG.format(
                directory=directory,
                port=port,
                daemon_port=daemon_port,
                certificate=certificate.file,
                key=certificate.key,
                base=BASE_PATH,
                demand=DEMAND if wants_key else "",
            ),
        )
