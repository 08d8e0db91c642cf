"""Addresses of container engines, and the directories of their certificates."""

from ocattach.config.targets.rules import check_file, check_host, check_port, check_text, check_user
from ocattach.config.targets.uri_text import split_authority
from ocattach.errors import UsageError

ENGINE_SCHEMES = ("tcp", "http", "https", "ssh")
ENGINE = f"^(unix:///.*|({'|'.join(ENGINE_SCHEMES)})://[^-/].*)$"
TLS_SCHEMES = ("tcp://", "https://")


def check_engine(value: str, what: str) -> None:
    """Raise UsageError for an invalid address of an engine."""
    check_text(value, what)
    scheme, _, rest = value.partition("://")
    if scheme == "unix" and rest.startswith("/"):
        return
    if scheme not in ENGINE_SCHEMES:
        raise UsageError(
            f"{what} {value!r} is not the address of an engine",
            hint="Examples: unix:///run/docker.sock, tcp://HOST:PORT, ssh://USER@HOST",
        )
    user, host, port = split_authority(rest.partition("/")[0])
    check_host(host)
    if user is not None:
        check_user(user)
    if port is not None:
        check_port(port)


def check_certificates(value: str, host: str | None) -> None:
    """Raise UsageError for a relative path, and for an engine that is not reached by TLS."""
    check_file(value, "cert_path")
    if host is None or not host.startswith(TLS_SCHEMES):
        raise UsageError(
            "cert_path requires an engine at tcp:// or https://", hint="Set host, such as tcp://HOST:2376"
        )
