"""Logging in to a host: with the user's keys, then with what the user types, as far as the host accepts these."""

import math
import time
from collections.abc import Callable, Collection, Iterator
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path
from queue import Empty, SimpleQueue

import paramiko

from ocattach.errors import AuthenticationError
from ocattach.printable import command_line
from ocattach.transports.base import Ask, Question
from ocattach.transports.ssh.key_file import problem
from ocattach.transports.ssh.paramiko.config import INSTALL, METHODS, HostConfig
from ocattach.transports.ssh.paramiko.user_keys import (
    AGENT_SECONDS,
    UNUSABLE,
    AgentKey,
    NamedKey,
    open_agent,
    public_blob,
    read_key,
    with_certificate,
)

TRIES = 3
"""How often a password or passphrase may be typed, as in OpenSSH (NumberOfPasswordPrompts)."""

MAX_ROUNDS = 20
"""Methods that a host may require one after the other, or requests for input in one of them."""

MAX_PROMPTS = 16
MAX_TEXT = 2000
"""Characters of one text of the host that are shown."""


def log_in(transport: paramiko.Transport, host: HostConfig, ask: Ask, *, timeout: float) -> None:
    """Authenticate. Raises AuthenticationError with what was tried.

    Each answer of the host may take `timeout` seconds. How long the user may take is for `ask` to decide.
    """
    agent = open_agent() if host.has_agent else None
    login = Login(transport, host, ask, timeout)
    try:
        login.run(login.keys(agent.get_keys() if agent else ()))
    finally:
        if agent:
            agent.close()


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

    def run(self, keys: Iterator[NamedKey]) -> None:
        """Try one method after the other until the host is satisfied."""
        prompts = range(0 if self._host.is_batch else TRIES)
        methods: dict[str, Callable[[], bool]] = {
            "publickey": lambda: self._offer(keys),
            "keyboard-interactive": lambda: any(self._attempt(self._converse, math.inf) for _ in prompts),
            "password": lambda: any(self._attempt(self._send_password, self._timeout) for _ in prompts),
        }
        self._attempt(partial(self._transport.auth_none, self._host.user), self._timeout)
        self._banner = self._transport.get_banner() or b""
        left = list(self._host.methods)
        for _ in range(MAX_ROUNDS):
            if self._transport.is_authenticated():
                return
            method = next((name for name in left if name in self._accepted), None)
            if method is None:
                break
            if methods[method]():
                left = list(self._host.methods)
            else:
                left.remove(method)
        raise self._refused()

    def _attempt(self, send: Callable[[], list[str]], seconds: float) -> bool:
        """Whether the host accepted a request, which may be one of several that it requires."""
        self._transport.auth_timeout = seconds
        self._sent = time.monotonic()
        try:
            self._accepted = frozenset(send()) or self._accepted
        except paramiko.BadAuthenticationType as error:
            self._accepted = frozenset(error.allowed_types)
            return False
        except paramiko.AuthenticationException as error:
            is_late = time.monotonic() - self._sent >= seconds
            if is_late or not self._transport.is_active():
                raise self._ended(error) from error
            return False
        except (OSError, EOFError, paramiko.SSHException) as error:
            raise self._ended(error) from error
        return True

    def _offer(self, keys: Iterator[NamedKey]) -> bool:
        for name, key in keys:
            self._tried.append(name)
            seconds = max(self._timeout, AGENT_SECONDS) if isinstance(key, AgentKey) else self._timeout
            if self._attempt(partial(self._transport.auth_publickey, self._host.user, key), seconds):
                return True
            if "publickey" not in self._accepted:
                break
        return False

    def keys(self, held: Collection[paramiko.AgentKey]) -> Iterator[NamedKey]:
        """Yield the keys to offer: those held by the agent, the files, and at last the files to be unlocked."""
        files = {file: public_blob(file) for file in self._host.identities}
        for key in sorted(held, key=lambda key: key.blob not in files.values()):
            owner = next((file for file, blob in files.items() if blob == key.blob), None)
            if owner or not self._host.identities_only:
                name = f"agent key {key.comment or key.get_name()}"
                yield from with_certificate(name, AgentKey(key.agent, key.blob, key.comment), owner)
        locked = []
        for file, blob in files.items():
            if blob in [key.blob for key in held]:
                continue
            try:
                yield from with_certificate(str(file), read_key(file), file)
            except TypeError:
                locked.append(file)
            except UNUSABLE:
                self._skip(file, *problem(file))
        for file in locked:
            if unlocked := self._unlock(file):
                yield from with_certificate(str(file), unlocked, file)

    def _unlock(self, file: Path) -> paramiko.PKey | None:
        for _ in range(0 if self._host.is_batch else TRIES):
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
