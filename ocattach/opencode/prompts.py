"""Prompts over HTTP, each under an id that we choose: who does not know whether it arrived can ask, or send it again.

Seen on 1.18.33: a prompt that arrives several times with the same id of its message and of its part, before, while and
after it is answered, is one message and one answer. With the id of the message alone its text is there twice.
"""

import http.client
import re
import secrets
import string
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from ocattach.opencode.api import DaemonClient
from ocattach.opencode.sessions import check_status, checked, in_directory, objects, read_list, read_object

IDENTIFIER = re.compile(r"[a-z]{3}_([0-9a-f]{12})[0-9A-Za-z]{14}")
ALPHABET = string.digits + string.ascii_letters
RANDOM_LENGTH = 14
COUNTED = 0x1000
"""Ids begin with the time in milliseconds, times this, of which 48 bits are kept."""

BITS = 48


@dataclass(frozen=True, slots=True, kw_only=True)
class Prompt:
    """What is asked of a session."""

    id: str
    """Of the message that it becomes."""

    part: str
    text: str
    provider: str = ""
    model: str = ""
    """Empty: what the session or the daemon has."""

    agent: str = ""

    def to_api(self) -> dict[str, Any]:
        """The body of its request."""
        body: dict[str, Any] = {
            "messageID": self.id,
            "parts": [{"id": self.part, "type": "text", "text": self.text}],
        }
        if self.model:
            body["model"] = {"providerID": self.provider, "modelID": self.model}
        return {**body, **({"agent": self.agent} if self.agent else {})}


class PromptClient:
    """Requests about prompts to one daemon. Methods raise what `DaemonClient.request` raises, and OcattachError."""

    def __init__(self, client: DaemonClient) -> None:
        self._client = client

    def send(self, session: str, prompt: Prompt) -> None:
        """Hand over a prompt, and return before it is answered. The same one may be sent any number of times."""
        path = f"/session/{checked(session)}/prompt_async"
        check_status(self._client.request("POST", path, prompt.to_api()), session)

    def has(self, session: str, prompt: Prompt) -> bool:
        """Whether a prompt has arrived."""
        answer = self._client.request("GET", f"/session/{checked(session)}/message/{prompt.id}")
        if answer.status == http.client.NOT_FOUND:
            return False
        check_status(answer, session)
        return True

    def models(self, directory: str | None) -> list[str]:
        """Every model that can be used in a directory, as PROVIDER/MODEL."""
        content = read_object(self._client.request("GET", f"/config/providers{in_directory(directory)}"))
        providers = content.get("providers")
        return [
            f"{provider.get('id')}/{model}"
            for provider in objects(providers if isinstance(providers, list) else [])
            for model in mapping(provider.get("models"))
        ]

    def agents(self, directory: str | None) -> list[dict[str, Any]]:
        """The agents that there are in a directory: {"name", "mode", "model"?, …}."""
        return objects(read_list(self._client.request("GET", f"/agent{in_directory(directory)}")))

    def configured_model(self, directory: str | None, agent: str = "") -> str:
        """PROVIDER/MODEL that the configuration has for a directory's sessions, or for this agent; empty: none."""
        for each in self.agents(directory) if agent else ():
            model = mapping(each.get("model"))
            if each.get("name") == agent and model:
                return f"{model.get('providerID')}/{model.get('modelID')}"
        content = read_object(self._client.request("GET", f"/config{in_directory(directory)}"))
        configured = content.get("model")
        return configured if isinstance(configured, str) else ""


def new_prompt(text: str, after: Iterable[str], *, time: int = 0, model: str = "", agent: str = "") -> Prompt:
    """A prompt that comes after what has these ids, and after a time as ids have it.

    Up to 1.17.0 a daemon compares ids. A prompt whose id is later than that of its answer it answers again and again,
    dozens of times in seconds, and one that is earlier than an answer never; 1.18.33 does neither. So the time is that
    of the daemon's own ids, never of a clock here.
    """
    provider, _, name = model.partition("/")
    moment = max(time, *(time_of(each) for each in after), 0) + 1
    return Prompt(
        id=identifier("msg", moment),
        part=identifier("prt", moment),
        text=text,
        provider=provider,
        model=name,
        agent=agent,
    )


def identifier(kind: str, time: int) -> str:
    """An id as OpenCode makes them."""
    random = "".join(secrets.choice(ALPHABET) for _ in range(RANDOM_LENGTH))
    return f"{kind}_{time % (1 << BITS):012x}{random}"


def time_of(identifier: str) -> int:
    """The time in an id, as it stands there; 0 for what is none."""
    found = IDENTIFIER.fullmatch(identifier)
    return int(found[1], 16) if found else 0


def of_time(milliseconds: int) -> int:
    """A time since the epoch, as it would stand in an id."""
    return milliseconds * COUNTED % (1 << BITS)


def mapping(content: Any) -> Mapping[str, Any]:
    """A JSON object; an empty one in the place of anything else."""
    return content if isinstance(content, Mapping) else {}
