"""The messages of a session, read from the API. Values of unexpected types are replaced by empty ones."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, fields
from typing import Any, NamedTuple, Self

from ocattach.opencode.sessions import stamp
from ocattach.sessions.record import LONGEST_ID, LONGEST_NAME, Tokens, amount, whole, words
from ocattach.untrusted_json import objects, table

LONGEST_TEXT = 1 << 20
LONGEST_REASON = 2000
"""Characters of an answer, and of a provider's error message, that are kept."""

ABORTED = "MessageAbortedError"
"""OpenCode's name for an aborted run (1.18.33)."""

CALLS = "tool-calls"
"""The finish reason of an answer with tool calls: another answer follows."""

CUT_OFF = "length"
"""The finish reason of an answer that reached the output limit."""


class Failure(NamedTuple):
    """Why an answer failed."""

    name: str
    message: str
    status: int = 0
    """The HTTP status of the provider; 0 if there is none."""

    def __str__(self) -> str:
        return f"{self.message} (status {self.status})" if self.status else self.message

    @classmethod
    def from_api(cls, content: Any) -> Self | None:
        """Read `error` of a message or an event: {"name", "data": {"message", "statusCode", …}}."""
        if not isinstance(content, Mapping):
            return None
        data = table(content.get("data"))
        name = words(content.get("name"), LONGEST_NAME) or "unknown error"
        message = words(data.get("message"), LONGEST_REASON).strip() or name
        return cls(name, message, whole(data.get("statusCode")))


class Text(NamedTuple):
    """A text part of a message."""

    id: str
    words: str

    @classmethod
    def from_api(cls, part: Mapping[str, Any]) -> Self | None:
        """Read a part; None for other kinds, and for text that OpenCode inserts or ignores."""
        if part.get("type") != "text" or part.get("synthetic") or part.get("ignored"):
            return None
        return cls(words(part.get("id"), LONGEST_ID), words(part.get("text"), LONGEST_TEXT))


@dataclass(frozen=True, slots=True, kw_only=True)
class Message:
    """A message of the user or the model."""

    id: str
    is_answer: bool
    """Whether it is from the model."""

    parent: str = ""
    """The id of the prompt that it answers."""

    created: int = 0
    completed: int = 0
    """Milliseconds since the epoch; 0 if not set."""

    provider: str = ""
    model: str = ""
    """The model that answered, or that is to answer."""

    agent: str = ""
    finish: str = ""
    """Why the answer ended: "stop", "tool-calls", "length"."""

    failure: Failure | None = None
    tokens: Tokens = field(default_factory=Tokens)
    cost: float = 0.0
    texts: tuple[Text, ...] = ()
    """The text parts; of an incomplete answer only the complete parts."""

    tools: tuple[str, ...] = ()
    """The names of the tools that it calls."""

    @property
    def text(self) -> str:
        """The text of all parts."""
        return "\n".join(each.words for each in self.texts if each.words.strip())

    @property
    def full_model(self) -> str:
        """PROVIDER/MODEL; empty if unknown."""
        return f"{self.provider}/{self.model}" if self.model else ""

    @property
    def is_over(self) -> bool:
        """Whether the answer is complete and no other one follows."""
        return bool(self.completed or self.failure) and self.finish != CALLS

    @classmethod
    def from_api(cls, content: Any) -> Self | None:
        """Read a message: {"info", "parts"}; None if it is malformed."""
        info = table(table(content).get("info"))
        identifier = words(info.get("id"), LONGEST_ID)
        if not identifier or info.get("role") not in {"user", "assistant"}:
            return None
        time = table(info.get("time"))
        chosen = table(info.get("model")) or info  # of a user's message, and of an answer
        parts = objects(table(content).get("parts"))
        return cls(
            id=identifier,
            is_answer=info["role"] == "assistant",
            parent=words(info.get("parentID"), LONGEST_ID),
            created=stamp(time.get("created")),
            completed=stamp(time.get("completed")),
            provider=words(chosen.get("providerID"), LONGEST_NAME),
            model=words(chosen.get("modelID"), LONGEST_NAME),
            agent=words(info.get("agent"), LONGEST_NAME),
            finish=words(info.get("finish"), LONGEST_NAME),
            failure=Failure.from_api(info.get("error")),
            tokens=Tokens.from_api(info.get("tokens")),
            cost=amount(info.get("cost")),
            texts=tuple(text for part in parts if (text := Text.from_api(part))),
            tools=tuple(
                words(part.get("tool"), LONGEST_NAME) for part in parts if part.get("type") == "tool"
            ),
        )


@dataclass(frozen=True, slots=True)
class Turn:
    """A prompt and its answers."""

    prompt: Message
    answers: tuple[Message, ...] = ()
    """In order; all but the last call tools."""

    @property
    def last(self) -> Message | None:
        """The latest answer; None if there is none."""
        return self.answers[-1] if self.answers else None

    @property
    def is_over(self) -> bool:
        """Whether the answer is complete."""
        return self.last is not None and self.last.is_over

    @property
    def has_finished(self) -> bool:
        """Whether the model gave a final finish reason. OpenCode repeats the request for `unknown`."""
        return self.last is not None and self.last.finish not in {"", "unknown", CALLS}

    @property
    def failure(self) -> Failure | None:
        """The error of the last answer."""
        return self.last.failure if self.last else None

    @property
    def text(self) -> str:
        """The text of all answers, as paragraphs."""
        return "\n\n".join(answer.text for answer in self.answers if answer.text.strip())

    @property
    def tools(self) -> tuple[str, ...]:
        """The names of the tools that were called."""
        return tuple(tool for answer in self.answers for tool in answer.tools)

    @property
    def tokens(self) -> Tokens:
        """The tokens of all answers."""
        return total(answer.tokens for answer in self.answers)

    @property
    def cost(self) -> float:
        """In US dollars."""
        return sum(answer.cost for answer in self.answers)


def read_messages(content: Sequence[Any]) -> list[Message]:
    """Read a list of messages, without malformed ones."""
    return [message for each in content if (message := Message.from_api(each))]


def turns(messages: Sequence[Message]) -> list[Turn]:
    """Return the prompts of a session with their answers, in order."""
    answers: dict[str, list[Message]] = {}
    for message in messages:
        if message.is_answer:
            answers.setdefault(message.parent, []).append(message)
    return [
        Turn(message, tuple(answers.get(message.id, ()))) for message in messages if not message.is_answer
    ]


def turn_of(every: Sequence[Turn], prompt: str) -> Turn | None:
    """Return a prompt with its answers; None if it is not in the session.

    Prompts that wait while an earlier one is answered are answered together, as the last of them (1.18.33).
    """
    place = next((number for number, turn in enumerate(every) if turn.prompt.id == prompt), None)
    if place is None:
        return None
    answered = next((turn for turn in every[place:] if turn.answers), every[place])
    return Turn(every[place].prompt, answered.answers)


def total(several: Iterator[Tokens] | Sequence[Tokens]) -> Tokens:
    """Return the sum of tokens."""
    every = tuple(several)
    return Tokens(
        **{each.name: sum(getattr(tokens, each.name) for tokens in every) for each in fields(Tokens)}
    )
