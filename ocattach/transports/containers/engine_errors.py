"""Errors of an engine: unreachable, permission denied, no TLS, untrusted certificate."""

import ssl
from collections.abc import Callable
from typing import NamedTuple

from ocattach.errors import (
    AuthenticationError,
    ConnectionLostError,
    OcattachError,
    TimedOutError,
    UnreachableError,
)
from ocattach.printable import command_line

PLAIN_TO_TLS = "HTTP request to an HTTPS server"
"""The answer of Go's TLS server to plain HTTP (net/http, server.go)."""

NOT_TLS = ("WRONG_VERSION_NUMBER", "HTTP_REQUEST", "PACKET_LENGTH_TOO_LONG", "RECORD_LAYER_FAILURE")
CERTIFICATE_ALERTS = ("CERTIFICATE_REQUIRED", "BAD_CERTIFICATE", "UNKNOWN_CA", "CERTIFICATE_EXPIRED")
"""OpenSSL's reasons for data that is not TLS, and for alerts about our certificate."""

FORBIDDEN_HINTS = {
    "docker": "Add yourself to its group and log in again: sudo usermod -aG docker $USER",
    "podman": "Only root may use root's containers; for your own, remove CONTAINER_HOST, host and context",
}

Refused = Callable[[int, str], OcattachError | None]
"""Returns the error for a status code and the engine's explanation; None for the general error."""


class EngineErrors(NamedTuple):
    """The errors of one engine."""

    name: str
    program: str
    url: str
    cert_path: str | None
    timeout: float
    """Seconds, for the message of a timeout."""

    def known(self, reason: BaseException) -> OcattachError | None:
        """Return our error for a cause; None for an unknown one."""
        match reason:
            case ConnectionLostError():
                return self.hung_up(reason.message)
            case OcattachError():
                return reason
            case ssl.SSLError():
                return self.tls(reason)
            case PermissionError():
                return self.forbidden()
            case TimeoutError():
                return TimedOutError(
                    f"The {self.name} engine did not answer within {self.timeout:.0f} s",
                    hint=f"Check the engine: {self.program} info",
                )
            case _:
                return None

    def silent(self, reason: str) -> OcattachError:
        """Return the error for an engine that does not answer."""
        return UnreachableError(
            f"The {self.name} engine at {self.url} does not answer: {reason}",
            hint=f"Check that it is running: {self.program} info",
        )

    def odd(self) -> OcattachError:
        """Return the error for an answer that the API does not have."""
        return UnreachableError(
            f"The {self.name} engine at {self.url} gave an answer that makes no sense",
            hint=f"Check the engine: {self.program} info",
        )

    def forbidden(self) -> OcattachError:
        """Return the error for a socket that this user may not open."""
        return AuthenticationError(
            f"Permission denied for the {self.name} engine at {self.url}",
            hint=FORBIDDEN_HINTS.get(self.program, ""),
        )

    def refused(self, explanation: str) -> OcattachError:
        """Return the error for a refused request."""
        if PLAIN_TO_TLS in explanation:
            return UnreachableError(
                f"The {self.name} engine at {self.url} requires TLS",
                hint="Name the folder of its certificates: DOCKER_TLS_VERIFY=1 and DOCKER_CERT_PATH, or cert_path",
            )
        return UnreachableError(
            f"{self.name} refused the request: {explanation}", hint=f"Check the engine: {self.program} info"
        )

    def tls(self, error: ssl.SSLError) -> OcattachError:
        """Return the error for a failed TLS handshake."""
        at = f"the {self.name} engine at {self.url}"
        if isinstance(error, ssl.SSLCertVerificationError):
            return AuthenticationError(
                f"The certificate of {at} is not trusted: {error.verify_message}",
                hint=f"Check that {self.cert_path or '~/.docker'}/ca.pem signed it, and that it names this address",
            )
        reason = getattr(error, "reason", None)  # not set by all of them
        if reason in NOT_TLS:
            return UnreachableError(
                f"There is no TLS at {at}",
                hint="Remove cert_path or DOCKER_TLS_VERIFY if it has no certificate",
            )
        return self.hung_up(reason or str(error))

    def hung_up(self, reason: str) -> OcattachError:
        """Return the error for a connection that the far end closed with this reason."""
        at = f"The {self.name} engine at {self.url}"
        if any(alert in reason.upper().replace(" ", "_") for alert in CERTIFICATE_ALERTS):
            return AuthenticationError(
                f"{at} requires a client certificate that it trusts",
                hint=f"Check cert.pem and key.pem in {self.cert_path or '~/.docker'}",
            )
        if "permission denied" in reason.lower():
            return AuthenticationError(
                f"Permission denied for that user at {at[0].lower()}{at[1:]}: {reason}",
                hint="Add the user to the engine's group on that host",
            )
        return UnreachableError(f"Cannot reach {at[0].lower()}{at[1:]}: {reason}", hint=self._ssh_hint())

    def _ssh_hint(self) -> str:
        if not self.url.startswith("ssh://"):
            return ""
        host = self.url.removeprefix("ssh://").partition("/")[0]
        return f"Check it there: {command_line('ssh', host, self.program, 'info')}"


def reasons(error: BaseException) -> list[BaseException]:
    """Return an error and its causes, outermost first; urllib3 keeps TLS errors in `args`."""
    found: list[BaseException] = []
    reason: BaseException | None = error
    while reason is not None and reason not in found:
        found.append(reason)
        wrapped = next((each for each in reason.args if isinstance(each, BaseException)), None)
        reason = reason.__cause__ or reason.__context__ or wrapped
    return found
