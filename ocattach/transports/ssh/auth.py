"""The client's half of ssh's authentication protocol (RFC 4252, 4256), one request at a time.

paramiko's own can neither ask whether a key would do before it signs, nor wait for a person without a deadline.
"""

import queue
import threading
from dataclasses import dataclass
from typing import Any

import paramiko
from paramiko.auth_handler import AuthHandler
from paramiko.common import cMSG_USERAUTH_REQUEST

SERVICE = "ssh-userauth"
PROBE = "probe"
HUNG_UP = "it closed the connection"
MAX_PROMPTS = 16
"""More than that in one request is not meant for a person."""


@dataclass(frozen=True, slots=True)
class Prompts:
    """What the host asks of a person."""

    title: str
    instructions: str
    prompts: tuple[tuple[str, bool], ...]
    """Each with whether the answer may be seen."""


@dataclass(frozen=True, slots=True)
class Verdict:
    """What the host said to a request."""

    accepted: bool = False
    """The login is complete."""

    partial: bool = False
    """The request was good, and another way has to follow."""

    usable: bool = False
    """It would accept the key that it was asked about."""

    methods: frozenset[str] = frozenset()
    """The ways that may go on."""


class AuthEndedError(Exception):
    """The host ended the connection, or did not answer in time, while it authenticated us."""


class Answer(threading.Event):
    """Set by paramiko's thread when the host has spoken; carries what is for a person, too."""

    def __init__(self) -> None:
        super().__init__()
        self.words: queue.SimpleQueue[Prompts | None] = queue.SimpleQueue()

    def set(self) -> None:
        """Wake whoever waits for words."""
        super().set()
        self.words.put(None)


class Authentication(AuthHandler):
    """Sends requests on a transport and waits for the host's verdicts; used by one thread."""

    def __init__(self, transport: paramiko.Transport, *, timeout: float) -> None:
        super().__init__(transport)
        self._timeout = timeout
        self._answer = Answer()
        self._replies: queue.SimpleQueue[list[str]] = queue.SimpleQueue()
        self._has_service = False
        self._verdict = Verdict()
        self._connection = transport
        transport.auth_handler = self

    def none(self, user: str) -> Verdict:
        """Ask which ways there are."""
        self._begin()
        self.auth_none(user, self._answer)
        return self._await_verdict()

    def probe(self, user: str, blob: bytes) -> Verdict:
        """Ask whether a key would be accepted; nothing is signed."""
        self._begin()
        self.auth_method, self.username, self._probed = PROBE, user, blob
        self.auth_event = self._answer
        self._request_auth()
        return self._await_verdict()

    def publickey(self, user: str, key: paramiko.PKey) -> Verdict:
        """Sign with a key. Raises paramiko's SSHException when the key does not sign."""
        self._begin()
        self.auth_publickey(user, key, self._answer)
        return self._await_verdict()

    def typed_password(self, user: str, password: str) -> Verdict:
        """Send a password, and forget it."""
        self._begin()
        try:
            self.auth_password(user, password, self._answer)
            return self._await_verdict()
        finally:
            self.password = None

    def interactive(self, user: str) -> Prompts | Verdict:
        """Begin a conversation: what the host asks first, or its verdict."""
        self._begin()
        self.auth_interactive(user, self._relay, self._answer)
        return self._await_words()

    def reply(self, answers: list[str]) -> Prompts | Verdict:
        """Answer the host's prompts: what it asks next, or its verdict."""
        self._replies.put(answers)
        return self._await_words()

    def hang_up(self) -> None:
        """Answer with nothing: the host calls the conversation failed."""
        self._replies.put([])

    @property
    def words_before(self) -> str:
        """What the host wants everybody to read who logs in (RFC 4252, 5.4)."""
        banner: Any = self.banner  # bytes, whatever its annotation says (paramiko 5.1)
        return banner.decode(errors="replace").strip() if banner else ""

    def _begin(self) -> None:
        self._answer = Answer()
        self._replies = queue.SimpleQueue()
        self._verdict = Verdict()

    def _await_verdict(self) -> Verdict:
        if not self._answer.wait(self._timeout):
            raise AuthEndedError(f"no answer in {self._timeout:.0f} s")
        if not self._connection.is_active():
            raise AuthEndedError(self._reason())
        return Verdict(accepted=True) if self.is_authenticated() else self._verdict

    def _await_words(self) -> Prompts | Verdict:
        try:
            words = self._answer.words.get(timeout=self._timeout)
        except queue.Empty:
            raise AuthEndedError(f"no answer in {self._timeout:.0f} s") from None
        return self._await_verdict() if words is None else words

    def _reason(self) -> str:
        error = self._connection.get_exception()
        return str(error) if error and str(error) else HUNG_UP

    def _relay(self, title: str, instructions: str, prompts: list[tuple[str, bool]]) -> list[str]:
        """In paramiko's thread: let the other one ask the person."""
        if len(prompts) > MAX_PROMPTS:
            raise paramiko.SSHException(f"it asks {len(prompts)} questions at once")
        self._answer.words.put(Prompts(title, instructions, tuple(prompts)))
        return self._replies.get()

    def _request_auth(self) -> None:
        """The service is asked for once; OpenSSH, too, sends only requests from then on."""
        accepted = paramiko.Message()
        accepted.add_string(SERVICE)
        accepted.rewind()
        try:
            if self._has_service:
                self._parse_service_accept(accepted)
            else:
                super()._request_auth()  # type: ignore[misc]
        except (EOFError, OSError) as error:
            if isinstance(error, OSError) and self._connection.is_active():
                raise  # it was the agent that failed
            raise AuthEndedError(HUNG_UP) from error

    def _parse_service_accept(self, message: paramiko.Message) -> None:
        self._has_service = True
        if self.auth_method != PROBE:
            super()._parse_service_accept(message)  # type: ignore[misc]
            return
        request = paramiko.Message()
        request.add_byte(cMSG_USERAUTH_REQUEST)
        request.add_string(self.username or "")
        request.add_string("ssh-connection")
        request.add_string("publickey")
        request.add_boolean(False)
        key_type = paramiko.Message(self._probed).get_text()
        request.add_string(self._finalize_pubkey_algorithm(key_type))  # type: ignore[attr-defined]
        request.add_string(self._probed)
        self._connection._send_message(request)  # type: ignore[attr-defined]  # noqa: SLF001

    def _parse_userauth_info_request(self, message: paramiko.Message) -> None:
        """Number 60 means three things (RFC 4252, 7 and 8; RFC 4256, 3.2): it depends on what was asked."""
        if self.auth_method == "keyboard-interactive":
            super()._parse_userauth_info_request(message)  # type: ignore[misc]
            return
        if self.auth_method == "password":
            raise paramiko.SSHException("the password has expired; log in with ssh once to change it")
        self._verdict = Verdict(usable=True)
        self._answer.set()

    def _parse_userauth_failure(self, message: paramiko.Message) -> None:
        methods = frozenset(message.get_list())
        self._verdict = Verdict(partial=message.get_boolean(), methods=methods)
        self.authenticated = False
        self._answer.set()
