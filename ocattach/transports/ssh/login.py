"""Logging in to a host: with keys, then with what a person can type, as far as the host accepts these."""

from collections.abc import Callable, Sequence

import paramiko

from ocattach.errors import AuthenticationError
from ocattach.printable import command_line
from ocattach.transports.base import Ask, Question
from ocattach.transports.ssh.auth import AuthEndedError, Authentication, Prompts, Verdict
from ocattach.transports.ssh.config import HostConfig
from ocattach.transports.ssh.keys import Keys, OfferedKey

MAX_ROUNDS = 20
"""Requests of a host before it has gone too far: ways that must follow each other, or questions in one of them."""

MAX_TEXT = 2000
"""Characters of a host's own words that are shown."""


def log_in(transport: paramiko.Transport, config: HostConfig, ask: Ask, *, timeout: float) -> None:
    """Authenticate. Raises AuthenticationError with what was tried.

    Each answer of the host has `timeout` seconds; how long a person may take is for `ask` to say.
    """
    login = Login(transport, config, ask, timeout=timeout)
    try:
        login.run()
    except AuthEndedError as error:
        raise login.ended(error) from error
    finally:
        login.close()


class Login:
    """One login: what was tried, and what the host has said so far."""

    def __init__(
        self, transport: paramiko.Transport, config: HostConfig, ask: Ask, *, timeout: float
    ) -> None:
        self._transport = transport
        self._config = config
        self._ask_person = ask
        self._auth = Authentication(transport, timeout=timeout)
        self._keys = Keys(config.identities, None if config.batch else self.ask)
        self._accepted_methods: frozenset[str] = frozenset()
        self._tried: list[str] = []
        self._unanswered: AuthenticationError | None = None
        self._asked = False
        self._banner_shown = False

    def run(self) -> None:
        """Try one way after the other until the host is content."""
        verdict = self._auth.none(self._config.user)
        self._accepted_methods = verdict.methods
        exhausted: set[str] = set()
        for _ in range(MAX_ROUNDS):
            if verdict.accepted:
                return
            if verdict.partial:
                exhausted.clear()
            method = self._next_method(verdict.methods or self._accepted_methods, exhausted)
            if method is None:
                break
            verdict = self._try(method)
            if verdict.methods:
                self._accepted_methods = verdict.methods
            if not verdict.partial:
                exhausted.add(method)
        raise self._unanswered or self.refused()

    def _next_method(self, accepted: frozenset[str], exhausted: set[str]) -> str | None:
        typed = () if self._config.batch else ("keyboard-interactive", "password")
        usable = [m for m in self._config.methods if m == "publickey" or m in typed]
        return next((m for m in usable if m in accepted and m not in exhausted), None)

    def _try(self, method: str) -> Verdict:
        match method:
            case "publickey":
                return self._try_keys()
            case "keyboard-interactive":
                return self._repeat(self._try_conversation)
            case _:
                return self._repeat(self._try_password)

    def _try_keys(self) -> Verdict:
        verdict = Verdict()
        for key in self._keys.offers():
            self._tried.append(key.name)
            verdict = self._try_key(key)
            if verdict.accepted or verdict.partial:
                return verdict
            if verdict.methods and "publickey" not in verdict.methods:
                break
        return verdict

    def _try_key(self, key: OfferedKey) -> Verdict:
        try:
            if key.probe:
                verdict = self._auth.probe(self._config.user, key.blob)
                if not verdict.usable:
                    return verdict
            return self._auth.publickey(self._config.user, key.load())
        except AuthenticationError as error:
            # A key that cannot be opened; the next one may do.
            self._unanswered = self._unanswered or error
        except (paramiko.SSHException, OSError) as error:
            self._tried[-1] += f" (not used: {error})"
        return Verdict()

    def _repeat(self, attempt: Callable[[], Verdict]) -> Verdict:
        verdict = Verdict()
        for _ in range(max(1, self._config.password_prompts)):
            verdict = attempt()
            if verdict.accepted or verdict.partial:
                break
        return verdict

    def _try_password(self) -> Verdict:
        return self._auth.typed_password(
            self._config.user, self.ask(Question(f"{self._who}'s password: ", secret=True))
        )

    def _try_conversation(self) -> Verdict:
        said = self._auth.interactive(self._config.user)
        for _ in range(MAX_ROUNDS):
            if isinstance(said, Verdict):
                return said
            try:
                answers = self._answers(said)
            except BaseException:
                self._auth.hang_up()
                raise
            said = self._auth.reply(answers)
        self._auth.hang_up()
        raise AuthEndedError(f"it asked more than {MAX_ROUNDS} times")

    def _answers(self, said: Prompts) -> list[str]:
        heading = [self._quoted(text) for text in (said.title, said.instructions) if text.strip()]
        answers = []
        for prompt, echo in said.prompts:
            text = "\n".join([*heading, self._quoted(prompt)])
            answers.append(
                self.ask(Question(text.rstrip("\n") + ("" if text.endswith(" ") else " "), secret=not echo))
            )
            heading = []
        return answers

    def ask(self, question: Question) -> str:
        """Let the person answer, who sees the host's banner first."""
        self._asked = True
        banner = self._auth.words_before
        if banner and not self._banner_shown:
            self._banner_shown = True
            question = Question(
                f"{self._quoted(banner)}\n{question.text}",
                secret=question.secret,
                confirm=question.confirm,
            )
        return self._ask_person(question)

    def _quoted(self, text: str) -> str:
        """A host's words, each line marked as such: they must not pass for a question of this machine's."""
        if len(text) > MAX_TEXT:
            text = f"{text[:MAX_TEXT]}…"
        return "\n".join(f"({self._who}) {line}" for line in text.strip("\r\n").splitlines() or [""])

    @property
    def _who(self) -> str:
        return f"{self._config.user}@{self._config.alias}"

    def refused(self) -> AuthenticationError:
        """The error for a host that accepted nothing."""
        return AuthenticationError(
            f"{self._config.alias} did not accept {self._config.user}{with_these(self._tried)} "
            f"(it accepts: {', '.join(sorted(self._accepted_methods)) or 'nothing more'})",
            hint=f"Try: {command_line('ssh', self._who)}",
        )

    def ended(self, error: AuthEndedError) -> AuthenticationError:
        """The error for a host that broke off."""
        if self._asked:
            hint = "A host waits only so long for an answer (its LoginGraceTime), and allows only so many: try again"
        else:
            hint = (
                "Too many keys may have been offered: name the right one by --identity, or see IdentitiesOnly"
            )
        return AuthenticationError(
            f"{self._config.alias} ended the login of {self._config.user}{with_these(self._tried)}: {error}",
            hint=hint,
        )

    def close(self) -> None:
        """Let go of the agent."""
        self._keys.close()


def with_these(tried: Sequence[str]) -> str:
    """What was tried, as part of a sentence."""
    return f" with {', '.join(tried)}" if tried else ""
