"""What sessions of OpenCode 2 wait for, in the shapes of version 1.

From its published source only (packages/protocol/src/groups: permission.ts, form.ts); it could not be run.
Questions are forms there, whose fields have a key, a type, and choices with a value beside the label.
"""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from ocattach.errors import SessionNotFoundError, UsageError
from ocattach.opencode.api import DaemonClient, query
from ocattach.opencode.sessions import MOST_PENDING, Content, check_status, checked, read_object
from ocattach.untrusted_json import objects, table

YES, NO = "yes", "no"
NUMBERS: Mapping[str, Callable[[str], float]] = {"number": float, "integer": int}


class SecondClient:
    """Requests to one daemon. Methods raise what `DaemonClient.request` raises, and OcattachError."""

    def __init__(self, client: DaemonClient) -> None:
        self._client = client

    def pending(self, directory: str | None) -> list[Content]:
        """Return the open permission requests and forms of a directory."""
        permissions = self._list("/api/permission/request", directory)
        forms = self._list("/api/form", directory)
        return [*map(as_permission, permissions), *map(as_question, forms)][:MOST_PENDING]

    def get(self, session: str) -> Content:
        """Return one session. Raises SessionNotFoundError."""
        answer = self._client.request("GET", f"/api/session/{checked(session)}")
        info = table(read_object(answer, session).get("data"))
        return {**info, "directory": table(info.get("location")).get("directory")}

    def reply(self, session: str, permission: str, decision: str) -> None:
        """Reply to a permission request: once, always or reject. Raises SessionNotFoundError."""
        self._settle("POST", f"{session}/permission/{permission}/reply", {"decision": decision})

    def answer(
        self, session: str, form: str, directory: str | None, answers: Sequence[Sequence[str]] | None
    ) -> None:
        """Answer a form, a list of labels for each field, or cancel it without answers. Raises SessionNotFoundError."""
        if answers is None:
            self._settle("DELETE", f"{session}/form/{form}")
            return
        found = next((each for each in self._list("/api/form", directory) if each.get("id") == form), None)
        if found is None:
            raise SessionNotFoundError(f"{form} is not open any more")
        given = {
            str(field.get("key")): value_of(field, labels)
            for field, labels in zip(fields(found), answers, strict=False)
        }
        self._settle("POST", f"{session}/form/{form}/reply", {"answer": given})

    def _list(self, path: str, directory: str | None) -> list[Content]:
        answer = self._client.request("GET", f"{path}{query(**{'location[directory]': directory})}")
        check_status(answer)
        return objects(table(answer.json()).get("data"))

    def _settle(self, method: str, path: str, body: Content | None = None) -> None:
        check_status(self._client.request(method, f"/api/session/{path}", body), path)


def as_permission(content: Content) -> Content:
    """Return a permission request in the shape of version 1."""
    names = {"permission": "action", "patterns": "resources", "always": "save"}
    return {**content, **{first: content.get(second) for first, second in names.items()}}


def as_question(content: Content) -> Content:
    """Return a form in the shape of a question of version 1."""
    return {**content, "questions": [as_part(field) for field in fields(content)]}


def fields(form: Content) -> list[Content]:
    """Return the fields that a person fills in here."""
    return [each for each in objects(form.get("fields")) if each.get("type") != "external"]


def as_part(field: Content) -> Content:
    """Return a field in the shape of one of several questions."""
    kind, options = field.get("type"), objects(field.get("options"))
    return {
        "question": field.get("description") or field.get("title") or field.get("key"),
        "header": field.get("title"),
        "options": [{"label": YES}, {"label": NO}] if kind == "boolean" else options,
        "multiple": kind == "multiselect",
        "custom": kind != "boolean" and (not options or field.get("custom") is True),
    }


def value_of(field: Content, labels: Sequence[str]) -> Any:
    """Return the value of a field that these labels mean. Raises UsageError if a number is none."""
    kind = str(field.get("type"))
    values = {each.get("label"): each.get("value") for each in objects(field.get("options"))}
    chosen = [values.get(label, label) for label in labels]
    if kind == "multiselect":
        return chosen
    if kind == "boolean":
        return labels[0] == YES
    try:
        return NUMBERS[kind](labels[0]) if kind in NUMBERS else chosen[0]
    except ValueError as error:
        raise UsageError(f"{labels[0]!r} is not a number, as {field.get('key')} requires") from error
