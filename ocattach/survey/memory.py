"""What was last known about each environment, in one small file: for when it does not answer."""

import json
import time
from contextlib import suppress
from pathlib import Path

from ocattach.config.files.safe import read_text, write_text
from ocattach.errors import OcattachError
from ocattach.survey.environment_status import Known

SCHEMA = 1
KEPT_SECONDS = 90 * 24 * 3600
"""What is older than this helps nobody."""


class Memory:
    """The findings of former surveys, by the key of the environment's link. Nobody is kept from working by it."""

    def __init__(self, state_directory: Path) -> None:
        self._file = state_directory / "last-known.json"
        self._known = self._read()
        self._learnt: dict[str, Known] = {}

    def recall(self, key: str) -> Known | None:
        """What is known about an environment."""
        return self._learnt.get(key) or self._known.get(key)

    def learn(self, key: str, known: Known) -> None:
        """Something was found out; `save` writes it down."""
        self._learnt[key] = known

    def save(self) -> None:
        """Write down what was learnt, beside what others have learnt meanwhile."""
        if not self._learnt:
            return
        with suppress(OcattachError):  # two at once: the later one counts, and nobody waits for a lock
            oldest = time.time() - KEPT_SECONDS
            known = {
                key: each for key, each in {**self._read(), **self._learnt}.items() if each.asked > oldest
            }
            records = {key: each.to_json() for key, each in sorted(known.items())}
            write_text(self._file, json.dumps({"schema": SCHEMA, "environments": records}))
        self._known |= self._learnt
        self._learnt.clear()

    def _read(self) -> dict[str, Known]:
        with suppress(OcattachError, ValueError, TypeError, KeyError, AttributeError):
            document = json.loads(read_text(self._file) or "{}")
            if document.get("schema") == SCHEMA:
                return {str(key): Known.from_json(each) for key, each in document["environments"].items()}
        return {}
