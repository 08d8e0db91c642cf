"""Every error a user can meet: what happened, what to type next, and the exit code.

Imports nothing of ours, so that every room can raise these.
A message names the thing and the cause; a hint is the next step, where possible a command to paste.
Messages may contain text from an environment: code that prints them escapes control characters.
"""

import errno
import os
import sys
from collections.abc import Mapping
from typing import ClassVar, Self

LINK_ERROR = "LinkError"
"""The name of errors with which a link answers in place of the daemon."""

LONGEST = 4000
"""The longest message in characters: text from an environment can be part of it. The middle of a longer one is cut."""


NO_ROUTE = os.strerror(errno.EHOSTUNREACH)
LOCAL_NETWORK = (
    "macOS also reports this for programs without access to the local network: allow your terminal in System Settings, "
    "Privacy & Security, Local Network"
)
"""The hint for EHOSTUNREACH on macOS 15 and later, which exempts its own ssh (Apple's TN3179)."""


class OcattachError(Exception):
    """An error for the user. `str()` of it is one sentence."""

    code = "failure"
    """Stable identifier of the cause, for scripts (`-o json`)."""

    exit_code = 1
    """The exit code of the process, as listed in docs/commands.md."""

    classes: ClassVar[dict[str, type["OcattachError"]]] = {}
    """The registry: each class with its own code, by that code."""

    def __init_subclass__(cls, *, code: str = "", exit_code: int = 0) -> None:
        """Register a class with its own code; what is not given is inherited.

        Raises TypeError if another class has the same code.
        """
        super().__init_subclass__()
        if exit_code:
            cls.exit_code = exit_code
        if code:
            cls.code = code
            if OcattachError.classes.setdefault(code, cls) is not cls:
                raise TypeError(f"{cls.__name__} has the code of another error: {code}")

    def __init__(self, message: str, *, hint: str = "") -> None:
        half = LONGEST // 2
        self.message = message if len(message) <= LONGEST else f"{message[:half]} … {message[-half:]}"
        super().__init__(self.message)
        self.hint = ""
        self.with_hint(hint)

    @property
    def headline(self) -> str:
        """The first line of the message, for tables; the code if there is none."""
        return next(iter(self.message.strip().splitlines()), self.code)

    def with_hint(self, hint: str) -> Self:
        """Return the error, with this hint if it has none.

        A hint that is too long is dropped: a command of which the middle is missing may be quoted differently.
        """
        self.hint = self.hint or (hint if len(hint) <= LONGEST else "")
        return self

    def to_json(self) -> dict[str, str | int]:
        """The error as one JSON object; the inverse of `from_json`."""
        return {"code": self.code, "message": self.message, "hint": self.hint, "exit_code": self.exit_code}

    @staticmethod
    def from_json(record: Mapping[str, str | int]) -> "OcattachError":
        """Return an error that another ocattach process reported, as an instance of the class that has its code."""
        kind = OcattachError.classes.get(str(record["code"]), OcattachError)
        error = kind(str(record["message"]), hint=str(record["hint"]))
        error.code = str(record["code"])
        error.exit_code = int(record["exit_code"])
        return error


class UsageError(OcattachError, code="usage", exit_code=2):
    """The command line is not valid."""

    def __init__(self, message: str, *, hint: str = "", key: str = "") -> None:
        super().__init__(message, hint=hint)
        self.key = key
        """The key of the invalid entry, if the message does not begin with it."""


class InvalidURIError(UsageError, code="invalid-uri"):
    """A string is not a URI of an environment."""


class ConfigurationError(UsageError, code="configuration"):
    """A configuration file, or an entry in it, is not valid."""


class ConnectionNotFoundError(OcattachError, code="no-such-connection", exit_code=3):
    """No connection of that name is saved or defined by the project."""


class SessionNotFoundError(OcattachError, code="no-such-session", exit_code=3):
    """No environment that could be queried has this session or permission request."""


class SessionConflictError(OcattachError, code="session-conflict"):
    """Several environments report the same session or permission request."""


class AuthenticationError(OcattachError, code="authentication", exit_code=4):
    """The environment or its daemon rejects the credentials."""


class HostKeyError(AuthenticationError, code="host-key"):
    """A host key is unknown and no person could be asked, or it has changed."""


class CertificateError(AuthenticationError, code="certificate"):
    """The certificate of a server is not accepted."""


class PersonNeededError(AuthenticationError, code="locked"):
    """A question must be answered by a person, and there is no terminal."""


class NotTrustedError(OcattachError, code="not-trusted", exit_code=5):
    """The user has not approved a definition written by others."""


class UnreachableError(OcattachError, code="unreachable", exit_code=6):
    """The engine, host or network of the environment does not answer."""

    def __init__(self, message: str, *, hint: str = "") -> None:
        if sys.platform == "darwin" and NO_ROUTE in message:
            hint = ". ".join(filter(None, (LOCAL_NETWORK, hint)))
        super().__init__(message, hint=hint)


class EnvironmentNotFoundError(UnreachableError, code="no-such-environment"):
    """The engine answers, but has no environment of that name."""


class EnvironmentNotRunningError(UnreachableError, code="not-running"):
    """The environment exists but cannot run commands: it is stopped, paused, or restarting."""


class DaemonNotRunningError(UnreachableError, code="daemon-not-running"):
    """No daemon runs in the environment, and none was to be started."""


class ConnectionLostError(UnreachableError, code="connection-lost"):
    """The connection to the environment was lost."""


class PortClosedError(UnreachableError, code="port-closed"):
    """Nothing listens on a port of the environment."""


class LocalPortError(OcattachError, code="local-port"):
    """A port of this machine cannot be opened: another program has it, or it needs privileges."""


class OpencodeNotFoundError(OcattachError, code="opencode-not-found", exit_code=7):
    """No usable `opencode` program, in the environment or on this machine."""


class OpencodeIncompatibleError(OpencodeNotFoundError, code="opencode-incompatible"):
    """An `opencode` program has the wrong version, or was built for another system."""


class DefectError(OcattachError, code="defect"):
    """An exception that no code expects: a bug in ocattach (`ocattach.defects`)."""


class TooMuchOutputError(OcattachError, code="too-much-output"):
    """A command in the environment printed too much, and was stopped."""


class TimedOutError(OcattachError, code="timed-out", exit_code=8):
    """A deadline has passed."""


class InterruptedByUserError(OcattachError, code="interrupted", exit_code=130):
    """The user interrupted the command."""


class ShellNotFoundError(OcattachError, code="no-shell"):
    """The environment has no `sh`, which runs all commands there."""


class WorkdirNotFoundError(OcattachError, code="no-such-workdir"):
    """The working directory does not exist in the environment."""


class DaemonStartError(OcattachError, code="daemon-start"):
    """`opencode serve` did not start in the environment."""


class CrashLoopError(DaemonStartError, code="crash-loop"):
    """The daemon exited soon after each of its last starts. It is started again only on request."""


class RunFailedError(OcattachError, code="run-failed"):
    """A prompt was sent, but got no answer: the provider failed, or the run was aborted."""


class EnvironmentConfigError(OcattachError, code="environment-config"):
    """OpenCode in the environment rejects its own configuration."""
