"""Every error a user can meet: what happened, what to type next, and the exit code.

Imports nothing of ours, so that every room can raise these.
A message names the thing and the cause; a hint is the next step, where possible a command to paste.
Text that came from an environment may stand in a message: whoever prints it escapes control characters.
"""

from collections.abc import Mapping
from typing import ClassVar, Self

LINK_ERROR = "LinkError"
"""What a link calls the errors that it answers in the daemon's place, as OpenCode's own have names."""

LONGEST = 4000
"""Characters of a message: an environment has its say in it, and no more than a screen of that is read."""


def shortened(text: str) -> str:
    """The text, with its middle left out where it is longer than anybody reads."""
    if len(text) <= LONGEST:
        return text
    half = LONGEST // 2
    return f"{text[:half]} … {text[-half:]}"


class OcattachError(Exception):
    """Something the user should read; `str()` of it is one sentence without a traceback."""

    code = "failure"
    """Stable identifier of the cause, for scripts (`-o json`)."""

    exit_code = 1
    """What the process exits with, from the list in the README."""

    classes: ClassVar[dict[str, type["OcattachError"]]] = {}
    """The registry: each class that has a code of its own, by that code."""

    def __init_subclass__(cls) -> None:
        """Register the class. Raises TypeError if another class has the same code."""
        super().__init_subclass__()
        if "code" in vars(cls) and OcattachError.classes.setdefault(cls.code, cls) is not cls:
            raise TypeError(f"{cls.__name__} has the code of another error: {cls.code}")

    def __init__(self, message: str, *, hint: str = "") -> None:
        self.message = shortened(message)
        super().__init__(self.message)
        self.hint = shortened(hint)

    def with_hint(self, hint: str) -> Self:
        """Return the error, with this hint if it has none."""
        self.hint = self.hint or shortened(hint)
        return self

    def to_json(self) -> dict[str, str | int]:
        """The error as one JSON object; the inverse of `from_json`."""
        return {
            "code": self.code,
            "message": self.message,
            "hint": self.hint,
            "exit_code": self.exit_code,
        }

    @staticmethod
    def from_json(record: Mapping[str, str | int]) -> "OcattachError":
        """Return an error that another ocattach process reported, as an instance of the class that has its code."""
        kind = OcattachError.classes.get(str(record["code"]), OcattachError)
        error = kind(str(record["message"]), hint=str(record["hint"]))
        error.code = str(record["code"])
        error.exit_code = int(record["exit_code"])
        return error


class UsageError(OcattachError):
    """The command line cannot be what was meant."""

    code = "usage"
    exit_code = 2

    def __init__(self, message: str, *, hint: str = "", key: str = "") -> None:
        super().__init__(message, hint=hint)
        self.key = key
        """The key of a file's entry that is wrong, where the message does not begin with it."""


class InvalidURIError(UsageError):
    """A string is no URI of an environment."""

    code = "invalid-uri"


class ConfigurationError(UsageError):
    """A file of ours, or an entry in it, cannot be read as what it should be."""

    code = "configuration"


class ConnectionNotFoundError(OcattachError):
    """No connection of that name is saved or defined by the project."""

    code = "no-such-connection"
    exit_code = 3


class SessionNotFoundError(OcattachError):
    """No environment that could be asked has this session, or this request of one."""

    code = "no-such-session"
    exit_code = 3


class AuthenticationError(OcattachError):
    """The environment, or the daemon in it, does not accept our credentials."""

    code = "authentication"
    exit_code = 4


class HostKeyError(AuthenticationError):
    """A host's key is unknown and nobody could be asked, or it is not the key that is known."""

    code = "host-key"


class CertificateError(AuthenticationError):
    """A server's certificate is not one that we accept for it."""

    code = "certificate"


class PersonNeededError(AuthenticationError):
    """There is a question that only a person can answer, and nobody is there."""

    code = "locked"


class NotTrustedError(OcattachError):
    """A definition written by others has not been approved by the user."""

    code = "not-trusted"
    exit_code = 5


class UnreachableError(OcattachError):
    """The engine, host or network that leads to the environment does not answer."""

    code = "unreachable"
    exit_code = 6


class EnvironmentNotFoundError(UnreachableError):
    """The engine answers, and has no environment of that name."""

    code = "no-such-environment"


class EnvironmentNotRunningError(UnreachableError):
    """The environment exists and cannot run commands: stopped, paused, restarting."""

    code = "not-running"


class DaemonNotRunningError(UnreachableError):
    """No daemon runs in the environment and none was to be started."""

    code = "daemon-not-running"


class ConnectionLostError(UnreachableError):
    """The way into the environment was there and is gone."""

    code = "connection-lost"


class PortClosedError(UnreachableError):
    """Nothing listens on a port of the environment."""

    code = "port-closed"


class OpencodeNotFoundError(OcattachError):
    """No usable `opencode` program, in the environment or on this machine."""

    code = "opencode-not-found"
    exit_code = 7


class OpencodeIncompatibleError(OpencodeNotFoundError):
    """An `opencode` is there that cannot be used: of another version, or made for another system."""

    code = "opencode-incompatible"


class TooMuchOutputError(OcattachError):
    """A command in the environment printed more than anybody wants to hold, and was given up."""

    code = "too-much-output"


class TimedOutError(OcattachError):
    """What was awaited did not come within its deadline."""

    code = "timed-out"
    exit_code = 8


class InterruptedByUserError(OcattachError):
    """The user has broken it off."""

    code = "interrupted"
    exit_code = 130


class ShellNotFoundError(OcattachError):
    """The environment has no `sh`, through which everything there is done."""

    code = "no-shell"


class WorkdirNotFoundError(OcattachError):
    """The working directory does not exist in the environment."""

    code = "no-such-workdir"


class DaemonStartError(OcattachError):
    """`opencode serve` did not come up in the environment."""

    code = "daemon-start"


class CrashLoopError(DaemonStartError):
    """The daemon has ended soon after each of its last starts; it is not started again until somebody asks for it."""

    code = "crash-loop"


class RunFailedError(OcattachError):
    """A prompt was sent, and what came of it is no answer: the provider failed, or somebody broke it off."""

    code = "run-failed"


class EnvironmentConfigError(OcattachError):
    """OpenCode in the environment rejects its own configuration."""

    code = "environment-config"
