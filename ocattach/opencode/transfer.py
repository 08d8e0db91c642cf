"""A conversation of one environment, made again in another from its export.

Uses `POST /sync/replay` (1.17.0, 1.18.33; 1.14.41 refuses it), whose events OpenCode checks against its schema.
`opencode import` is not used: it writes into the database beside the daemon, keeps the ids of the session and its
messages, and leaves out messages whose ids the database already has (read in 1.18.33).

The document comes from an environment that is not trusted. What would act in the new one does not go along: see KEPT.
"""

import http.client
import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from itertools import count
from typing import Any

from ocattach.errors import OcattachError, OpencodeIncompatibleError, UsageError
from ocattach.opencode.api import DaemonClient, query
from ocattach.opencode.prompts import identifier, model_name, of_time
from ocattach.opencode.sessions import Content, SessionClient, stamp
from ocattach.printable import command_line
from ocattach.untrusted_json import objects, parse_json, table

MOST_BYTES = 64 * 1024 * 1024
"""The largest document. In memory it is several times that."""

BATCH_BYTES, BATCH_EVENTS = 1024 * 1024, 200
"""The size of one request: a larger part of a message is sent alone."""

KEPT = frozenset(
    {"text", "reasoning", "file", "tool", "step-start", "step-finish", "agent", "retry", "compaction"}
)
"""The types of parts that go along.

Not `patch`: undo deletes its files if their snapshot is missing (seen on 1.18.33). Not `snapshot`, and not
`subtask`, which the next prompt would run.
"""

ACTING = frozenset({"system", "tools", "format", "summary"})
"""Values of a user's message that do not go along: instructions and rights for its run, and the diffs of a snapshot."""

HINT = "OpenCode there must be 1.17 or later. Compare the versions: ocattach --status"

NOT_IMPORTED = (
    "the files of the directory",
    "snapshots, so that undo cannot go back before the import",
    "sessions of subagents",
    "the to-do list, permission rules and share link",
)
"""What OpenCode cannot take from a document, or must not."""


@dataclass(frozen=True, slots=True)
class Conversation:
    """A session that was exported."""

    title: str
    messages: list[Content]
    """{"info", "parts"}, the oldest first."""

    @property
    def model(self) -> str:
        """The PROVIDER/MODEL of the last prompt; empty if there is none."""
        names = (model_name(message["info"].get("model")) for message in reversed(self.messages))
        return next(filter(None, names), "")


def read_conversation(data: bytes) -> Conversation:
    """Parse a document of `ocattach session export` or `opencode export`. Raises UsageError."""
    try:
        content = parse_json(data)
    except ValueError as error:
        raise UsageError(f"The document is not valid JSON: {error}") from error
    info, messages = table(content).get("info"), table(content).get("messages")
    if not isinstance(info, dict) or not isinstance(messages, list):
        raise UsageError(
            "The document is not an exported session", hint="Export one: ocattach session export ID"
        )
    known: set[str] = set()
    for number, message in enumerate(messages, 1):
        head = table(table(message).get("info"))
        identity = head.get("id")
        if (
            head.get("role") not in {"user", "assistant"}
            or not isinstance(identity, str)
            or identity in known
        ):
            raise UsageError(f"Message {number} of the document is not a message of a session")
        known.add(identity)
    title = info.get("title")
    return Conversation(title[:1000] if isinstance(title, str) else "", messages)


class Transfer:
    """Makes a conversation again in a session that is new and empty."""

    def __init__(self, client: DaemonClient, session: Content) -> None:
        self._client = client
        self._session = str(session["id"])
        self._directory = str(session.get("directory"))
        self._created = stamp(table(session.get("time")).get("created"))

    def run(self, conversation: Conversation) -> int:
        """Send all messages. Returns the number of references to files that were left out.

        Deletes the session if that fails. Raises OpencodeIncompatibleError, and OcattachError for a document that
        OpenCode refuses.
        """
        try:
            return self._send(conversation)
        except BaseException as error:
            self._undo(error)
            raise

    def _undo(self, error: BaseException) -> None:
        try:
            SessionClient(self._client).delete(self._session)
        except OcattachError:
            if isinstance(error, OcattachError):
                command = command_line("ocattach", "session", "delete", self._session)
                raise error.with_hint(f"Delete what was imported: {command}") from None

    def _send(self, conversation: Conversation) -> int:
        identifiers = Identifiers(self._session, self._created, conversation.messages)
        sequence = count(1)  # 0 is the creation of the session
        batch: list[Content] = []
        size, first = 0, 1
        for number, message in enumerate(conversation.messages, 1):
            for kind, data in identifiers.events(message):
                event = {
                    "id": identifiers.new("evt"),
                    "aggregateID": self._session,
                    "seq": next(sequence),
                    "type": kind,
                    "data": {"sessionID": self._session, **data},
                }
                length = len(json.dumps(event))
                if batch and (size + length > BATCH_BYTES or len(batch) == BATCH_EVENTS):
                    self._replay(batch, first, number)
                    batch, size, first = [], 0, number
                batch.append(event)
                size += length
        if batch:
            self._replay(batch, first, len(conversation.messages))
        return identifiers.left_out

    def _replay(self, events: list[Content], first: int, last: int) -> None:
        body = {"directory": self._directory, "events": events}
        answer = self._client.request("POST", f"/sync/replay{query(directory=self._directory)}", body)
        if answer.status == http.client.OK and "sessionID" in table(answer.json()):
            return
        if answer.status in {http.client.OK, http.client.NOT_FOUND}:  # its web page
            raise OpencodeIncompatibleError("OpenCode there cannot import sessions", hint=HINT)
        raise OcattachError(
            f"OpenCode there refuses messages {first} to {last} of the document (status {answer.status})",
            hint=HINT,
        )


class Identifiers:
    """Translates the messages of a document into events, with ids that are new, ascending, and older than the session.

    OpenCode orders messages by time and id, and parts by id.
    """

    def __init__(self, session: str, created: int, messages: list[Content]) -> None:
        self.left_out = 0
        """The number of references to files so far that were left out."""
        self._session = session
        self._created = created
        self._latest = 0
        total = sum(2 + 2 * len(objects(message.get("parts"))) for message in messages)
        self._moments = count(of_time(created) - total)
        self._new = {message["info"]["id"]: self.new("msg") for message in messages}

    def new(self, kind: str) -> str:
        """Return the next id."""
        return identifier(kind, next(self._moments))

    def events(self, message: Content) -> Iterator[tuple[str, Content]]:
        """Yield the type and data of each event of a message."""
        info = message["info"]
        kept = {name: value for name, value in info.items() if info["role"] != "user" or name not in ACTING}
        identity = {"id": self._new[info["id"]], "sessionID": self._session}
        parent = {"parentID": self._renamed(info["parentID"])} if "parentID" in info else {}
        yield "message.updated.1", {"info": {**kept, **identity, **parent, "time": self._time(info)}}
        for part in objects(message.get("parts")):
            if part.get("type") in KEPT and self._is_harmless(part):
                ids = {"id": self.new("prt"), "sessionID": self._session, "messageID": identity["id"]}
                yield "message.part.updated.1", {"part": {**self._part(part), **ids}, "time": self._latest}

    def _time(self, info: Mapping[str, Any]) -> Content:
        """Return the times of a message, none before those of the last and none after the session's creation."""
        times = table(info.get("time"))
        self._latest = max(self._latest, min(stamp(times.get("created")), self._created))
        return {**times, "created": self._latest}

    def _part(self, part: Content) -> Content:
        kept = {name: value for name, value in part.items() if name != "snapshot"}
        if "tail_start_id" in kept:
            kept["tail_start_id"] = self._renamed(kept["tail_start_id"])
        state = kept.get("state")
        if isinstance(state, dict) and "attachments" in state:
            attachments = [each for each in objects(state["attachments"]) if self._is_harmless(each)]
            kept["state"] = {**state, "attachments": attachments}
        return kept

    def _is_harmless(self, part: Content) -> bool:
        """Return whether a part is no reference: OpenCode or the provider would read the file or URL again."""
        if part.get("type") != "file" or str(part.get("url")).startswith("data:"):
            return True
        self.left_out += 1
        return False

    def _renamed(self, message: object) -> object:
        return self._new.get(message, message) if isinstance(message, str) else message
