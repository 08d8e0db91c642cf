"""What goes wrong with an engine, in our words: not there, not allowed, no TLS, the wrong certificate."""

import ssl
from collections.abc import Callable
from dataclasses import dataclass

from ocattach.errors import (
    AuthenticationError,
    ConnectionLostError,
    OcattachError,
    TimedOutError,
    UnreachableError,
)

PLAIN_TO_TLS = "HTTP request to an HTTPS server"
"""How a TLS server of Go's answers plain HTTP (net/http, server.go)."""

NOT_TLS = ("WRONG_VERSION_NUMBER", "HTTP_REQUEST", "PACKET_LENGTH_TOO_LONG", "RECORD_LAYER_FAILURE")
CERTIFICATE_ALERTS = ("CERTIFICATE_REQUIRED", "BAD_CERTIFICATE", "UNKNOWN_CA", "CERTIFICATE_EXPIRED")
"""OpenSSL's words: for bytes that are no TLS, and for what the far end may say of our certificate."""

FORBIDDEN_HINTS = {
    "docker": "Add yourself to the engine's group (usermod -aG docker $USER), and log in again",
    "podman": "Root's containers are root's; for your own leave CONTAINER_HOST, host and context out",
}

Refused = Callable[[int, str], OcattachError | None]
"""What a status code and the engine's explanation mean; None leaves it to the engine."""


@dataclass(frozen=True, slots=True)
class EngineErrors:
    """The errors of one engine."""

    name: str
    """As people write it: "Docker"."""

    program: str
    """Its command line, for hints: "docker"."""

    url: str
    cert_path: str | None
    timeout: float
    """Seconds, as far as this is said to the user."""

    def known(self, reason: BaseException) -> OcattachError | None:
        """Our word for a reason; None for one that is not ours to know."""
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
                    f"The {self.name} engine did not answer in {self.timeout:.0f} s",
                    hint=f"Is it well? Try: {self.program} info",
                )
            case _:
                return None

    def silent(self, reason: str) -> OcattachError:
        """Nothing answers."""
        return UnreachableError(
            f"The {self.name} engine at {self.url} does not answer: {reason}",
            hint=f"Is it running? Try: {self.program} info",
        )

    def forbidden(self) -> OcattachError:
        """The socket is there, and this account may not open it."""
        return AuthenticationError(
            f"This account may not use the {self.name} engine at {self.url}",
            hint=FORBIDDEN_HINTS.get(self.program, ""),
        )

    def refused(self, explanation: str) -> OcattachError:
        """The engine answered, and said no."""
        if PLAIN_TO_TLS in explanation:
            return UnreachableError(
                f"The {self.name} engine at {self.url} speaks TLS only",
                hint="Say where its certificates are: DOCKER_TLS_VERIFY=1 and DOCKER_CERT_PATH, or cert_path",
            )
        return UnreachableError(f"{self.name} refused: {explanation}", hint=f"Try: {self.program} info")

    def tls(self, error: ssl.SSLError) -> OcattachError:
        """The engine or we did not like the other's certificate, or one of us speaks no TLS."""
        at = f"the {self.name} engine at {self.url}"
        if isinstance(error, ssl.SSLCertVerificationError):
            return AuthenticationError(
                f"The certificate of {at} cannot be trusted: {error.verify_message}",
                hint=f"Is {self.cert_path or '~/.docker'}/ca.pem the authority that signed it, for that address?",
            )
        if error.reason in NOT_TLS:
            return UnreachableError(
                f"What answers for {at} does not speak TLS", hint="Leave the certificates out, if it has none"
            )
        return self.hung_up(error.reason or str(error))

    def hung_up(self, said: str) -> OcattachError:
        """The far end closed the connection, and said this."""
        at = f"The {self.name} engine at {self.url}"
        if any(alert in said.upper().replace(" ", "_") for alert in CERTIFICATE_ALERTS):
            return AuthenticationError(
                f"{at} wants a client certificate that it trusts",
                hint=f"Look for cert.pem and key.pem in {self.cert_path or '~/.docker'}",
            )
        if "permission denied" in said.lower():
            return AuthenticationError(
                f"{at} may not be used by that account: {said}",
                hint="Add the account to the engine's group there",
            )
        return UnreachableError(f"{at} cannot be reached: {said}", hint=self._ssh_hint())

    def _ssh_hint(self) -> str:
        if not self.url.startswith("ssh://"):
            return ""
        host = self.url.removeprefix("ssh://").partition("/")[0]
        return f"Try: ssh {host} {self.program} info"


def reasons(error: BaseException) -> list[BaseException]:
    """An error and what it came from, the outermost first; urllib3 has its TLS errors as an argument."""
    found: list[BaseException] = []
    reason: BaseException | None = error
    while reason is not None and reason not in found:
        found.append(reason)
        wrapped = next((each for each in reason.args if isinstance(each, BaseException)), None)
        reason = reason.__cause__ or reason.__context__ or wrapped
    return found
