"""The words of an answer as they come, and once they are complete; each is told once."""

from collections.abc import Mapping, Sequence
from typing import Any

from ocattach.sessions.messages import LONGEST_TEXT, Message, Text
from ocattach.sessions.record import LONGEST_ID, table, words

PARAGRAPH = "\n\n"


class Transcript:
    """What has been told of the answers to one prompt.

    Pieces of a text are told as they come only while none can be missing. After a gap its end is waited for, when it
    comes as a whole: the daemon's lists have the words of a text at its end alone (1.18.33).
    """

    def __init__(self, prompt: str) -> None:
        self._prompt = prompt
        self._answers: set[str] = set()
        self._told: dict[str, str] = {}
        """The words that were told, part by part."""

        self._open: set[str] = set()
        """The parts of which nothing is missing."""

        self._last = ""

    def hear(self, properties: Mapping[str, Any]) -> str:
        """What an event adds: `message.updated`, `message.part.updated` or `message.part.delta`."""
        if "info" in properties:
            info = table(properties["info"])
            if info.get("parentID") == self._prompt:
                self._answers.add(words(info.get("id"), LONGEST_ID))
            return ""
        if "part" in properties:
            part = table(properties["part"])
            text = Text.from_api(part)
            if text is None or part.get("messageID") not in self._answers:
                return ""
            self._open.add(text.id)
            return self._complete(text)
        return self._add(properties)

    def _add(self, properties: Mapping[str, Any]) -> str:
        part = words(properties.get("partID"), LONGEST_ID)
        if part not in self._open or properties.get("field") != "text":
            return ""
        return self._tell(part, words(properties.get("delta"), LONGEST_TEXT))

    def miss(self) -> None:
        """Events may have been missed."""
        self._open.clear()

    def read(self, answers: Sequence[Message]) -> str:
        """What the daemon's list of the answers adds."""
        self._answers.update(answer.id for answer in answers)
        return "".join(self._complete(text) for answer in answers for text in answer.texts)

    def _complete(self, text: Text) -> str:
        """Tell what is missing of a part, all of whose words until now are known."""
        told = self._told.get(text.id, "")
        if told.startswith(text.words):  # also what is only trimmed at its end
            return ""
        if not text.words.startswith(
            told
        ):  # somebody has changed it: see `experimental.text.complete` of plugins
            self._told[text.id] = ""
            return self._tell(text.id, text.words)
        return self._tell(text.id, text.words[len(told) :])

    def _tell(self, part: str, more: str) -> str:
        if not more:
            return ""
        before = PARAGRAPH if self._last and self._last != part else ""
        self._last = part
        self._told[part] = (self._told.get(part, "") + more)[-LONGEST_TEXT:]
        return before + more
