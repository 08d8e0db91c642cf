"""What a daemon has, asked of itself by a way that no link has a part in."""

import json
import time
from collections import Counter
from collections.abc import Iterable

from tests.faults.clients import Way
from tests.faults.ledger import Ledger

SETTLED_SECONDS = 60
"""A prompt is accepted before it is kept; one that is not there after so long will not be."""

PAUSE = 0.2


def texts_of(way: Way, sessions: Iterable[str]) -> Counter[str]:
    """How often each text stands among the user's messages of these sessions."""
    texts: Counter[str] = Counter()
    for session in sessions:
        status, body = way.request("GET", f"/session/{session}/message", seconds=60)
        if status != 200:
            raise RuntimeError(f"the daemon gave {status} for the messages of {session}: {body[:200]!r}")
        for message in json.loads(body):
            if message["info"]["role"] == "user":
                texts.update(part["text"] for part in message["parts"] if part["type"] == "text")
    return texts


def settled_texts(way: Way, sessions: list[str], ledger: Ledger) -> Counter[str]:
    """The same, once all is there that was accepted, or will not come any more."""
    deadline = time.monotonic() + SETTLED_SECONDS
    while True:
        texts = texts_of(way, sessions)
        if not ledger.missing(texts) or time.monotonic() > deadline:
            return texts
        time.sleep(PAUSE)
