"""Values of agents' events, read from the daemon's, and the answers that they add up to."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from ocattach.opencode.sessions import stamp
from ocattach.opencode.tui.seen import remember
from ocattach.untrusted_json import shortened, table

LONGEST = 64 * 1024
LONGEST_NAME = 1000
"""The longest text of an event, and the longest id, name, title or path, in characters."""


MOST_OPEN, MOST_PARTS = 1000, 50
"""How many things in progress, and parts of an answer, are remembered."""


@dataclass(slots=True)
class Answering:
    """The answers to a prompt so far."""

    message: str = ""
    """The latest answer."""

    texts: dict[str, str] = field(default_factory=dict)
    """The text parts of that."""

    totals: dict[str, tuple[Mapping[str, int], float]] = field(default_factory=dict)
    """Tokens and cost of each answer."""

    def take(self, message: str, part: str, words: str) -> None:
        """Take a text part of an answer."""
        if message > self.message:
            self.message, self.texts = message, {}
        if message == self.message:
            remember(self.texts, part, words, limit=MOST_PARTS)

    def text(self, message: str) -> str:
        """Return the text of an answer, if it is the latest."""
        return "\n".join(self.texts.values())[:LONGEST] if message == self.message else ""

    def sums(self) -> dict[str, Any]:
        """Return tokens and cost of all answers."""
        every = self.totals.values()
        names = next(iter(every), ({}, 0.0))[0]
        return {
            "tokens": {name: sum(tokens[name] for tokens, _ in every) for name in names},
            "cost": sum(cost for _, cost in every),
        }


def tool_result(state: Mapping[str, Any]) -> dict[str, Any]:
    """Return what a tool call has ended with, from its state in a part."""
    is_error = state.get("status") == "error"
    output = shortened(state.get("error" if is_error else "output"), LONGEST)
    code = table(state.get("metadata")).get("exit")
    times = table(state.get("time"))
    took = stamp(times.get("end")) - stamp(times.get("start"))
    return {
        "input": table(state.get("input")),
        "output": output,
        "stdout": output,
        "exit_code": code if isinstance(code, int) and not isinstance(code, bool) else int(is_error),
        "is_error": is_error,
        "seconds": max(0, took) / 1000,
    }


def total(several: list[Mapping[str, Any]]) -> dict[str, int]:
    """Return the sum of tokens by their kind."""
    flat = [{**table(each.get("cache")), **each} for each in several]
    names = {"input": "input", "output": "output", "reasoning": "reasoning"}
    names |= {"cache_read": "read", "cache_write": "write"}
    return {name: sum(number(each.get(key)) for each in flat) for name, key in names.items()}


def number(content: object) -> int:
    """Return a number of tokens; 0 for anything else."""
    return content if isinstance(content, int) and 0 <= content < 1 << 53 else 0


def short(content: Any) -> str:
    """Return an id, a name, a title or a path; empty if it is none."""
    return shortened(content, LONGEST_NAME)


def failure_of(content: Mapping[str, Any]) -> tuple[str, str]:
    """Return the name and message in `error`: {"name", "data": {"message"}}."""
    error = table(content.get("error"))
    return short(error.get("name")), short(table(error.get("data")).get("message"))
