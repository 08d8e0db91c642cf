"""Messages of sessions as text and as JSON."""

from collections.abc import Iterator
from dataclasses import asdict
from typing import Any

from ocattach.cli.amounts import ago
from ocattach.printable import printable
from ocattach.sessions.messages import Message


def spoken(text: str) -> str:
    """Text of a model with its control characters escaped, except tabs, which indent code."""
    return "\t".join(printable(piece) for piece in text.split("\t"))


def message_json(message: Message) -> dict[str, Any]:
    """A message as JSON; times are in milliseconds since the epoch."""
    failure = message.failure
    return {
        "id": message.id,
        "role": "assistant" if message.is_answer else "user",
        "created": message.created,
        "completed": message.completed or None,
        "model": message.full_model,
        "agent": message.agent,
        "finish": message.finish,
        "tokens": asdict(message.tokens),
        "cost": message.cost,
        "tools": list(message.tools),
        "text": message.text,
        "error": failure and {"name": failure.name, "message": failure.message, "status": failure.status},
    }


def message_lines(message: Message) -> Iterator[str]:
    """A message as lines of text."""
    who = message.full_model if message.is_answer else "You"
    yield f"{who}, {ago(message.created / 1000)}:"
    for line in message.text.splitlines():
        yield f"  {line}"
    if message.tools:
        yield f"  ({', '.join(message.tools)})"
    if message.failure:
        yield f"  failed: {message.failure}"
