"""What was asked in a session and what came of it, read from messages as OpenCode has them. Nothing is trusted."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple, Self

from ocattach.sessions.record import (
    LONGEST_ID,
    LONGEST_NAME,
    Tokens,
    amount,
    table,
    whole,
    words,
)

LONGEST_TEXT = 1 << 20
LONGEST_REASON = 2000
"""Characters that are kept of an answer, and of what a provider says of an error."""

ABORTED = "MessageAbortedError"
"""What OpenCode calls the end of a run that was broken off (1.18.33)."""

CALLS = "tool-calls"
"""How an answer ends that another one follows, once the tools have done their part."""

CUT_OFF = "length"
"""How an answer ends that was to be longer."""


class Failure(NamedTuple):
    """Why an answer failed."""

    name: str
    message: str
    status: int = 0
    """The HTTP status that the provider gave; 0: none."""

    @property
    def is_abort(self) -> bool:
        """Whether somebody wanted it so."""
        return self.name == ABORTED

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
    """A part of a message that is words."""

    id: str
    words: str

    @classmethod
    def from_api(cls, part: Mapping[str, Any]) -> Self | None:
        """Read a part; None for one of another kind, and for what OpenCode puts in or does not send."""
        if part.get("type") != "text" or part.get("synthetic") or part.get("ignored"):
            return None
        return cls(words(part.get("id"), LONGEST_ID), words(part.get("text"), LONGEST_TEXT))


@dataclass(frozen=True, slots=True, kw_only=True)
class Message:
    """A message of a user or of the model."""

    id: str
    is_answer: bool
    """Whether it is the model's."""

    parent: str = ""
    """The user's message that it answers."""

    created: int = 0
    completed: int = 0
    """Milliseconds since the epoch; 0: it is not."""

    provider: str = ""
    model: str = ""
    """What answered; of a user's message, what is to."""

    agent: str = ""
    finish: str = ""
    """Why the model said no more: "stop", "tool-calls", "length"."""

    failure: Failure | None = None
    tokens: Tokens = field(default_factory=Tokens)
    cost: float = 0.0
    texts: tuple[Text, ...] = ()
    """Its words, part by part; of an answer that still comes, those of the parts that are complete."""

    tools: tuple[str, ...] = ()
    """The tools that it calls, by name."""

    @property
    def text(self) -> str:
        """All its words."""
        return "\n".join(each.words for each in self.texts if each.words.strip())

    @property
    def full_model(self) -> str:
        """Provider and model as OpenCode writes them together; empty where it does not say."""
        return f"{self.provider}/{self.model}" if self.model else ""

    @property
    def is_over(self) -> bool:
        """Whether nothing more comes in it, and none after it."""
        return bool(self.completed or self.failure) and self.finish != CALLS

    @classmethod
    def from_api(cls, content: Any) -> Self | None:
        """A message as OpenCode tells it: {"info", "parts"}; None for what cannot be one."""
        info = table(table(content).get("info"))
        identifier = words(info.get("id"), LONGEST_ID)
        if not identifier or info.get("role") not in {"user", "assistant"}:
            return None
        time = table(info.get("time"))
        chosen = table(info.get("model")) or info  # of a user's message, and of an answer
        parts = [table(part) for part in listed(table(content).get("parts"))]
        return cls(
            id=identifier,
            is_answer=info["role"] == "assistant",
            parent=words(info.get("parentID"), LONGEST_ID),
            created=whole(time.get("created")),
            completed=whole(time.get("completed")),
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
    """One prompt, and all that the model did because of it."""

    prompt: Message
    answers: tuple[Message, ...] = ()
    """In their order; each but the last called tools."""

    @property
    def last(self) -> Message | None:
        """The latest answer; None while there is none."""
        return self.answers[-1] if self.answers else None

    @property
    def is_over(self) -> bool:
        """Whether the model has said all."""
        return self.last is not None and self.last.is_over

    @property
    def has_finished(self) -> bool:
        """Whether the model said that this is all; OpenCode asks it again where it gave no reason (`unknown`)."""
        return self.last is not None and self.last.finish not in {"", "unknown", CALLS}

    @property
    def failure(self) -> Failure | None:
        """Why it failed."""
        return self.last.failure if self.last else None

    @property
    def text(self) -> str:
        """All that the model said, a paragraph for each answer with words."""
        return "\n\n".join(answer.text for answer in self.answers if answer.text.strip())

    @property
    def tools(self) -> tuple[str, ...]:
        """The tools that were called."""
        return tuple(tool for answer in self.answers for tool in answer.tools)

    @property
    def tokens(self) -> Tokens:
        """What it took in all."""
        return total(answer.tokens for answer in self.answers)

    @property
    def cost(self) -> float:
        """In US dollars."""
        return sum(answer.cost for answer in self.answers)


def read_messages(content: Sequence[Any]) -> list[Message]:
    """Messages as OpenCode lists them, without what cannot be one."""
    return [message for each in content if (message := Message.from_api(each))]


def turns(messages: Sequence[Message]) -> list[Turn]:
    """The prompts of a session with what came of each, in their order."""
    answers: dict[str, list[Message]] = {}
    for message in messages:
        if message.is_answer:
            answers.setdefault(message.parent, []).append(message)
    return [
        Turn(message, tuple(answers.get(message.id, ()))) for message in messages if not message.is_answer
    ]


def turn_of(every: Sequence[Turn], prompt: str) -> Turn | None:
    """One prompt with what came of it; None while it is not there.

    Prompts that waited together, while an earlier one was answered, are answered as one, as the last of them (1.18.33).
    """
    place = next((number for number, turn in enumerate(every) if turn.prompt.id == prompt), None)
    if place is None:
        return None
    answered = next((turn for turn in every[place:] if turn.answers), every[place])
    return Turn(every[place].prompt, answered.answers)


def total(several: Iterator[Tokens] | Sequence[Tokens]) -> Tokens:
    """Tokens added up."""
    every = tuple(several)
    return Tokens(
        input=sum(each.input for each in every),
        output=sum(each.output for each in every),
        reasoning=sum(each.reasoning for each in every),
        cache_read=sum(each.cache_read for each in every),
        cache_write=sum(each.cache_write for each in every),
    )


def listed(content: Any) -> list[Any]:
    """A JSON list; an empty one in the place of anything else."""
    return content if isinstance(content, list) else []
