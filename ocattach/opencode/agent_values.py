"""Values of agents' events, read from the daemon's."""

from collections.abc import Mapping
from typing import Any

from ocattach.opencode.sessions import stamp
from ocattach.untrusted_json import table

LONGEST = 64 * 1024
"""The longest text of an event, in characters."""


def tool_result(state: Mapping[str, Any]) -> dict[str, Any]:
    """Return what a tool call has ended with, from its state in a part."""
    is_error = state.get("status") == "error"
    output = text(state.get("error") if is_error else state.get("output"))
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


def text(content: Any) -> str:
    """Return a text, shortened; empty if it is none."""
    return content[:LONGEST] if isinstance(content, str) else ""
