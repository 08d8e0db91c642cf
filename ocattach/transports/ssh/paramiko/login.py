"""Logging in to a host: with the user's keys, then with what the user types, as far as the host accepts these."""

import base64
import math
import time
from collections.abc import Callable, Collection, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from functools import partial
from itertools import repeat
from pathlib import Path
from queue import Empty, SimpleQueue
from threading import Thread
from typing import Any

import paramiko
from cryptography.exceptions import UnsupportedAlgorithm
from paramiko.pkey import UnknownKeyType

from ocattach.errors import AuthenticationError
from ocattach.printable import command_line
from ocattach.transports.base import Ask, NoPerson, Question
from ocattach.transports.ssh.key_file import problem
from ocattach.transports.ssh.paramiko.config import INSTALL, METHODS, HostConfig, public_file

AGENT_SECONDS = 60
"""How long an agent may take to answer: some ask the user, or wait for the touch of a key."""

TRIES = 3
"""How often a password or passphrase may be typed, as in OpenSSH (NumberOfPasswordPrompts)."""

MAX_ROUNDS = 20
"""Methods that a host may require one after the other, or requests for input in one of them."""

MAX_PROMPTS = 16
MAX_TEXT = 2000
"""Characters of one text of the host that are shown."""

UNUSABLE = (OSError, ValueError, TypeError, paramiko.SSHException, UnknownKeyType, UnsupportedAlgorithm)
"""What `PKey.from_path` (paramiko 5.1) raises; TypeError if a passphrase is missing, ValueError if it is wrong."""


def log_in(transport: paramiko.Transport, host: HostConfig, ask: Ask, *, timeout: float) -> None:
    """Authenticate. Raises AuthenticationError with what was tried.

    Each answer of the host may take `timeout` seconds. How long the user may take is for `ask` to decide.
    """
    agent = open_agent() if host.has_agent else None
    login = Login(transport, host, NoPerson("BatchMode is set") if host.is_batch else ask, timeout)
    try:
        login.run(login.keys(agent.get_keys() if agent else ()))
    finally:
        if agent:
            agent.close()


def open_agent() -> paramiko.Agent | None:
    """Return the agent of SSH_AUTH_SOCK; None if it does not answer, and the files have to do."""
    opened: list[paramiko.Agent] = []

    def connect() -> None:
        with suppress(OSError, paramiko.SSHException):
            opened.append(paramiko.Agent())

    thread = Thread(target=connect, name="ocattach-ssh-agent", daemon=True)
    thread.start()
    thread.join(AGENT_SECONDS)
    return opened[0] if opened else None


class Login:
    """One login: what was tried, and what the host accepts."""

    def __init__(self, transport: paramiko.Transport, host: HostConfig, ask: Ask, timeout: float) -> None:
        self._transport = transport
        self._host = host
        self._ask_user = ask
        self._timeout = timeout
        self._who = f"{host.user}@{host.alias}"
        self._accepted: frozenset[str] = frozenset()
        self._tried: list[str] = []
        self._hint = ""
        self._banner = b""
        self._has_asked = False
        self._sent = 0.0

    def run(self, keys: Iterator[tuple[str, paramiko.PKey]]) -> None:
        """Try one method after the other until the host is satisfied."""
        methods: dict[str, Callable[[], Iterator[Callable[[], list[str]]]]] = {
            "publickey": lambda: (partial(self._send_key, *named) for named in keys),
            "keyboard-interactive": lambda: repeat(self._converse, TRIES),
            "password": lambda: repeat(self._send_password, TRIES),
        }
        self._attempt(partial(self._transport.auth_none, self._host.user))
        self._banner = self._transport.get_banner() or b""
        left = list(self._host.methods)
        for _ in range(MAX_ROUNDS):
            if self._transport.is_authenticated():
                return
            method = next((name for name in left if name in self._accepted), None)
            if method is None:
                break
            if any(method in self._accepted and self._attempt(send) for send in methods[method]()):
                left = list(self._host.methods)
            else:
                left.remove(method)
        raise self._refused()

    def _attempt(self, send: Callable[[], list[str]]) -> bool:
        """Whether the host accepted a request, which may be one of several that it requires."""
        self._transport.auth_timeout = self._timeout
        self._sent = time.monotonic()
        try:
            self._accepted = frozenset(send()) or self._accepted
        except paramiko.BadAuthenticationType as error:
            self._accepted = frozenset(error.allowed_types)
            return False
        except paramiko.AuthenticationException as error:
            is_late = time.monotonic() - self._sent >= self._transport.auth_timeout
            if is_late or not self._transport.is_active():
                raise self._ended(error) from error
            return False
        except (OSError, EOFError, paramiko.SSHException) as error:
            raise self._ended(error) from error
        return True

    def keys(self, held: Collection[paramiko.AgentKey]) -> Iterator[tuple[str, paramiko.PKey]]:
        """Yield the keys to offer: those held by the agent, the files, and at last the files to be unlocked."""
        files = {file: public_half(file) for file in self._host.identities}
        for key in sorted(held, key=lambda key: key.blob not in files.values()):
            if key.blob in files.values() or not self._host.identities_only:
                yield f"agent key {key.comment or key.get_name()}", key
        locked = []
        for file, blob in files.items():
            if blob in [key.blob for key in held]:
                continue
            try:
                yield str(file), read_key(file)
            except TypeError:
                locked.append(file)
            except UNUSABLE:
                self._skip(file, *problem(file))
        for file in locked:
            if unlocked := self._unlock(file):
                yield str(file), unlocked

    def _unlock(self, file: Path) -> paramiko.PKey | None:
        for _ in range(TRIES):
            passphrase = self._ask(Question(f"Enter passphrase for key '{file}': ", secret=True)).encode()
            if not passphrase:
                break
            try:
                return read_key(file, passphrase)
            except ValueError:
                continue
            except UNUSABLE:
                self._skip(file, *problem(file))
                return None
        hint = f"Unlock it once: {command_line('ssh-add', file)}"
        self._skip(file, "not opened: it needs its passphrase", hint)
        return None

    def _skip(self, file: Path, reason: str, hint: str) -> None:
        self._tried.append(f"{file} ({reason})")
        self._hint = self._hint or hint

    def _send_key(self, name: str, key: paramiko.PKey) -> list[str]:
        self._tried.append(name)
        if isinstance(key, paramiko.AgentKey):
            self._transport.auth_timeout = max(self._timeout, AGENT_SECONDS)
        return self._transport.auth_publickey(self._host.user, key)

    def _send_password(self) -> list[str]:
        password = self._ask(Question(f"{self._who}'s password: ", secret=True))
        return self._transport.auth_password(self._host.user, password, fallback=False)

    def _converse(self) -> list[str]:
        """Log in by keyboard-interactive. paramiko requests input in its thread; the user is asked in this one."""
        requests: SimpleQueue[tuple[str, str, list[tuple[str, bool]]] | None] = SimpleQueue()
        replies: SimpleQueue[list[str]] = SimpleQueue()

        def relay(title: str, instructions: str, prompts: list[tuple[str, bool]]) -> list[str]:
            requests.put((title, instructions, prompts))
            return replies.get()

        self._transport.auth_timeout = math.inf
        with ThreadPoolExecutor(1, "ocattach-ssh-login") as pool:
            result = pool.submit(self._transport.auth_interactive, self._host.user, relay)
            result.add_done_callback(lambda _: requests.put(None))
            try:
                for _ in range(MAX_ROUNDS):
                    request = requests.get(timeout=self._timeout)
                    if request is None:
                        return result.result()
                    replies.put(self._answers(*request))
                raise paramiko.SSHException(f"it asked more than {MAX_ROUNDS} times")
            except Empty:
                raise TimeoutError(f"no answer in {self._timeout:.0f} s") from None
            finally:
                if not result.done():
                    replies.put([])
                    self._transport.close()

    def _answers(self, title: str, instructions: str, prompts: list[tuple[str, bool]]) -> list[str]:
        if len(prompts) > MAX_PROMPTS:
            raise paramiko.SSHException(f"it asks {len(prompts)} questions at once")
        heading = [self._quoted(text) for text in (title, instructions) if text.strip()]
        answers = []
        for prompt, echo in prompts:
            text = "\n".join([*heading, self._quoted(prompt)])
            answers.append(self._ask(Question(f"{text.rstrip()} ", secret=not echo)))
            heading = []
        return answers

    def _ask(self, question: Question) -> str:
        """Ask the user, who sees the host's banner before the first question."""
        self._has_asked = True
        banner, self._banner = self._banner, b""
        text = self._quoted(banner.decode(errors="replace").strip()) + "\n" if banner else ""
        answer = self._ask_user(Question(text + question.text, secret=question.secret))
        self._sent = time.monotonic()
        return answer

    def _quoted(self, text: str) -> str:
        """Return a text of the host, each line marked: it must not look like a question of this program."""
        text = text if len(text) <= MAX_TEXT else f"{text[:MAX_TEXT]}…"
        return "\n".join(f"({self._who}) {line}" for line in text.strip("\r\n").splitlines() or [""])

    def _refused(self) -> AuthenticationError:
        accepts = ", ".join(sorted(self._accepted)) or "nothing more"
        hint = self._hint or f"Try: {command_line('ssh', self._who)}"
        return AuthenticationError(
            f"{self._host.alias} did not accept {self._host.user}{self._with_these} (it accepts: {accepts})",
            hint=hint if self._accepted & METHODS.keys() else INSTALL,
        )

    def _ended(self, error: Exception) -> AuthenticationError:
        hint = "Too many keys may have been offered: name the right one by --identity, or see IdentitiesOnly"
        if self._has_asked:
            hint = "A host waits only so long (LoginGraceTime), and allows only so many attempts: try again"
        message = f"{self._host.alias} ended the login of {self._host.user}{self._with_these}: {error}"
        return AuthenticationError(message, hint=hint)

    @property
    def _with_these(self) -> str:
        return f" with {', '.join(self._tried)}" if self._tried else ""


def read_key(file: Path, passphrase: Any = None) -> paramiko.PKey:
    """Return the key in a regular file, with the certificate beside it. Raises one of `UNUSABLE`."""
    if not file.is_file():
        raise FileNotFoundError(file)
    return paramiko.PKey.from_path(file, passphrase)


def public_half(file: Path) -> bytes | None:
    """Return the public half of a key, from the file beside it; None if that cannot be read."""
    try:
        return base64.b64decode(public_file(file).read_text().split()[1])
    except (OSError, ValueError, LookupError):
        return None
