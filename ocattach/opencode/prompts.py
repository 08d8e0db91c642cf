"""Prompts over HTTP. Their ids are chosen here, so that a prompt can be looked up and sent again.

Seen on 1.18.33: a prompt that arrives several times with the same ids of its message and of its part is one message
and gets one answer. If only the id of the message is the same, its text is repeated.
"""

import http.client
import re
import secrets
import string
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, NamedTuple
from urllib.parse import quote

from ocattach.opencode.api import DaemonClient, query
from ocattach.opencode.attachments import Attachment
from ocattach.opencode.sessions import SessionClient, check_status, checked, read_list, read_object
from ocattach.untrusted_json import objects, table

IDENTIFIER = re.compile(r"[a-z]{3}_([0-9a-f]{12})[0-9A-Za-z]{14}")
ALPHABET = string.digits + string.ascii_letters
RANDOM_LENGTH = 14
COUNTED = 0x1000
"""Ids begin with the time in milliseconds, times this, of which the last 48 bits are kept."""

BITS = 48

LATEST = 2
"""Number of latest messages whose ids the id of the next prompt must follow."""


class Prompt(NamedTuple):
    """A prompt."""

    id: str
    """The id of the message."""

    parts: tuple[str, ...]
    """The ids of its parts: the text, then each of the files."""

    text: str
    files: tuple[Attachment, ...] = ()
    provider: str = ""
    model: str = ""
    """Empty: the default of the session or the daemon."""

    agent: str = ""

    def to_api(self) -> dict[str, Any]:
        """Return the body of the request."""
        text, *files = self.parts
        sent = [file.to_api(part) for file, part in zip(self.files, files, strict=True)]
        body: dict[str, Any] = {
            "messageID": self.id,
            "parts": [{"id": text, "type": "text", "text": self.text}, *sent],
        }
        if self.model:
            body["model"] = {"providerID": self.provider, "modelID": self.model}
        return {**body, **({"agent": self.agent} if self.agent else {})}


class PromptClient:
    """Requests about prompts to one daemon. Methods raise what `DaemonClient.request` raises, and OcattachError."""

    def __init__(self, client: DaemonClient) -> None:
        self._client = client

    def send(self, session: str, prompt: Prompt) -> None:
        """Send a prompt without waiting for the answer. It is safe to repeat."""
        path = f"/session/{checked(session)}/prompt_async"
        check_status(self._client.request("POST", path, prompt.to_api()), session)

    def find(self, session: str, message: str, parts: Iterable[str] = ()) -> bytes | None:
        """Return a message as JSON, {"info", "parts"}; None if it has not arrived, or without one of these parts.

        A daemon that is killed may have stored a message without its parts (seen on 1.18.33).
        """
        answer = self._client.request("GET", f"/session/{checked(session)}/message/{quote(message, safe='')}")
        if answer.status == http.client.NOT_FOUND:
            return None
        stored = {part.get("id") for part in objects(read_object(answer, session).get("parts"))}
        return answer.body if stored.issuperset(parts) else None

    def next_moment(self, session: str) -> int:
        """Return the time (as in ids) for the id of a session's next message.

        Up to 1.17.0 a daemon compares ids: it answers a prompt with an id later than that of its answer dozens of
        times, and one with an id earlier than an answer never. So the time comes from the daemon's ids.
        """
        sessions = SessionClient(self._client)
        latest, _ = sessions.messages(session, limit=LATEST)
        moments = [time_of(str(table(message.get("info")).get("id"))) for message in latest]
        if not moments:
            created = table(sessions.get(session).get("time")).get("created")
            moments = [of_time(created) if isinstance(created, int) else 0]
        return max(moments) + 1

    def models(self, directory: str | None) -> dict[str, frozenset[str]]:
        """Return the models that can be used in a directory, as PROVIDER/MODEL, with the kinds of input they take."""
        content = read_object(self._client.request("GET", f"/config/providers{query(directory=directory)}"))
        return {
            f"{provider.get('id')}/{name}": inputs_of(table(model))
            for provider in objects(content.get("providers"))
            for name, model in table(provider.get("models")).items()
        }

    def agents(self, directory: str | None) -> list[dict[str, Any]]:
        """Return the agents of a directory: {"name", "mode", "model"?, …}."""
        return objects(read_list(self._client.request("GET", f"/agent{query(directory=directory)}")))

    def configured_model(self, directory: str | None, agent: str = "", *, used: str = "") -> str:
        """Return the configured PROVIDER/MODEL of an agent or directory; empty if there is none.

        `used` is the model of the session, which OpenCode prefers to that of the directory.
        """
        for each in self.agents(directory) if agent else ():
            if each.get("name") == agent and (name := model_name(each.get("model"))):
                return name
        if used:
            return used
        content = read_object(self._client.request("GET", f"/config{query(directory=directory)}"))
        configured = content.get("model")
        return configured if isinstance(configured, str) else ""


def model_name(content: Any) -> str:
    """Return the PROVIDER/MODEL of a session, message or agent; empty without one."""
    model = table(content)
    return f"{model.get('providerID')}/{model.get('modelID') or model.get('id')}" if model else ""


def inputs_of(model: Mapping[str, Any]) -> frozenset[str]:
    """Return the kinds of input of a model: text, image, pdf, audio, video (1.18.33: capabilities.input)."""
    kinds = table(table(model.get("capabilities")).get("input"))
    return frozenset(kind for kind, is_taken in kinds.items() if is_taken is True)


def new_prompt(
    text: str, moment: int, *, model: str = "", agent: str = "", files: Sequence[Attachment] = ()
) -> Prompt:
    """Create a prompt; `moment` is that of its ids: see `PromptClient.next_moment`."""
    provider, _, name = model.partition("/")
    return Prompt(
        id=identifier("msg", moment),
        parts=tuple(identifier("prt", moment + index) for index in range(1 + len(files))),
        text=text,
        files=tuple(files),
        provider=provider,
        model=name,
        agent=agent,
    )


def identifier(kind: str, time: int) -> str:
    """Create an id in the format of OpenCode."""
    random = "".join(secrets.choice(ALPHABET) for _ in range(RANDOM_LENGTH))
    return f"{kind}_{time % (1 << BITS):012x}{random}"


def time_of(identifier: str) -> int:
    """Return the time in an id, in its own unit; 0 if it is malformed."""
    found = IDENTIFIER.fullmatch(identifier)
    return int(found[1], 16) if found else 0


def of_time(milliseconds: int) -> int:
    """Convert a time since the epoch to the unit of ids."""
    return milliseconds * COUNTED % (1 << BITS)
