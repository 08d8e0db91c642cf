"""The answers to a question of an agent, as people type them."""

from collections.abc import Sequence

from ocattach.errors import UsageError
from ocattach.opencode.pending import Part, Question
from ocattach.printable import command_line


def chosen(request: Question, labels: Sequence[str]) -> list[list[str]]:
    """Return the answers to each question of a request. Raises UsageError that shows the choices."""
    parts = request.parts
    if len(parts) == 1 and parts[0].is_multiple and len(labels) > 1:
        return [[choice(request, parts[0], label) for label in labels]]
    if len(labels) != len(parts):
        raise UsageError(
            f"{request.id} has {len(parts)} question{'s' if len(parts) > 1 else ''}, {len(labels)} answered: "
            f"{request.wanted}",
            hint=f"For example: {request.command}",
        )
    return [answers_to(request, part, label) for part, label in zip(parts, labels, strict=True)]


def answers_to(request: Question, part: Part, label: str) -> list[str]:
    """Return the choices that a LABEL names: one, or several separated by commas if the question allows it."""
    if not part.is_multiple or label in part.labels:
        return [choice(request, part, label)]
    return [choice(request, part, each.strip()) for each in label.split(",")]


def choice(request: Question, part: Part, label: str) -> str:
    """Return the label of a choice, in upper or lower case, or any text where the question allows it."""
    found = [each for each in part.labels if each.casefold() == label.casefold()]
    if label in part.labels or (not found and part.is_open and label.strip()):
        return label
    if found:
        return found[0]
    reject = command_line("ocattach", "session", "answer", request.id, "--reject")
    raise UsageError(
        f"{label!r} is not a choice of {part.text!r}: {', '.join(part.labels)}",
        hint=f"To refuse to answer: {reject}",
    )


def numbered(request: Question, part: Part, text: str) -> list[str]:
    """Return the answers in a typed line: choices by their numbers, else labels or a text as `session answer` has them.

    Raises UsageError.
    """
    numbers = text.replace(",", " ").split()
    if not part.labels or not numbers or not all(each.isdecimal() for each in numbers):
        return answers_to(request, part, text)
    if len(numbers) > 1 and not part.is_multiple:
        raise UsageError("Only one choice is possible")
    if wrong := [each for each in numbers if len(each) > 2 or not 0 < int(each) <= len(part.labels)]:  # noqa: PLR2004
        raise UsageError(f"There is no choice {wrong[0]}")
    return [part.labels[int(each) - 1] for each in numbers]
