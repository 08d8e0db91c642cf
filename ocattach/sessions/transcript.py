"""The text of an answer as it arrives, without repetition."""

from collections.abc import Mapping, Sequence
from typing import Any

from ocattach.sessions.messages import LONGEST_TEXT, Message, Text
from ocattach.sessions.record import LONGEST_ID, words
from ocattach.untrusted_json import table

PARAGRAPH = "\n\n"


class Transcript:
    """The text of the answers to one prompt that was returned so far. Methods return the text to add.

    Pieces of a part are returned as they arrive, as long as none can be missing. After a gap the rest follows when the
    part is complete, because the API has no text of incomplete parts (1.18.33).
    """

    def __init__(self, prompt: str) -> None:
        self._prompt = prompt
        self._answers: set[str] = set()
        self._returned: dict[str, str] = {}
        """The returned text of each part."""
        self._open: set[str] = set()
        """The parts without a gap."""
        self._last = ""

    def receive(self, properties: Mapping[str, Any]) -> str:
        """Process an event of `RUN_TEXT`."""
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
        grown = words(properties.get("partID"), LONGEST_ID)
        if grown not in self._open or properties.get("field") != "text":
            return ""
        return self._add_text(grown, words(properties.get("delta"), LONGEST_TEXT))

    def miss(self) -> None:
        """Note that events may have been missed."""
        self._open.clear()

    def read(self, answers: Sequence[Message]) -> str:
        """Process the answers as the API lists them."""
        self._answers.update(answer.id for answer in answers)
        return "".join(self._complete(text) for answer in answers for text in answer.texts)

    def _complete(self, text: Text) -> str:
        """Return the missing text of a part, given its text so far."""
        returned = self._returned.get(text.id, "")
        if returned.startswith(text.words):  # OpenCode trims the end
            return ""
        if not text.words.startswith(returned):  # changed by a plugin (`experimental.text.complete`)
            self._returned[text.id] = ""
            return self._add_text(text.id, text.words)
        return self._add_text(text.id, text.words[len(returned) :])

    def _add_text(self, part: str, more: str) -> str:
        if not more:
            return ""
        before = PARAGRAPH if self._last and self._last != part else ""
        self._last = part
        self._returned[part] = (self._returned.get(part, "") + more)[-LONGEST_TEXT:]
        return before + more
