"""Typed access to the entries of files, whose values can have any type.

Messages of errors begin with the key; callers add the file and the name of the connection.
"""

from collections.abc import Callable, Iterable, Mapping
from typing import Any

from ocattach.config.suggestion import did_you_mean
from ocattach.errors import UsageError

TYPE_NAMES = {
    bool: "true or false",
    int: "a number",
    float: "a number",
    list: "a list",
    dict: "an object",
    type(None): "null",
}

Entry = Mapping[str, object]
"""A connection or other object of a file; a key with the value null counts as absent."""

Schema = Mapping[str, object]
"""JSON Schema of the values at a key."""


def text(entry: Entry, key: str) -> str | None:
    """The string at `key`; None if absent."""
    value = entry.get(key)
    if value is None or isinstance(value, str):
        return value
    raise wrong_type(key, value, "text", hint=f'Put it in quotes: "{value}"' if is_scalar(value) else "")


def number(entry: Entry, key: str) -> int | None:
    """The integer at `key`; None if absent."""
    value = entry.get(key)
    if value is None or (isinstance(value, int) and not isinstance(value, bool)):
        return value
    raise wrong_type(key, value, "a whole number")


def flag(entry: Entry, key: str) -> bool:
    """The boolean at `key`; False if absent."""
    value = entry.get(key)
    if value is None or isinstance(value, bool):
        return bool(value)
    raise wrong_type(key, value, "true or false")


def texts(entry: Entry, key: str) -> tuple[str, ...]:
    """The list of strings at `key`; empty if absent."""
    value = entry.get(key)
    if value is None:
        return ()
    if not isinstance(value, list | tuple):
        raise wrong_type(key, value, "a list")
    found = []
    for item in value:
        if not isinstance(item, str):
            raise wrong_type(f"{key}: {item!r}", item, "text")
        found.append(item)
    return tuple(found)


def table(entry: Entry, key: str) -> Entry | None:
    """The object at `key`; None if absent."""
    value = entry.get(key)
    return None if value is None else as_table(value, key)


def as_table(value: object, what: str) -> Entry:
    """A value as an object with strings for keys. Raises UsageError, naming it `what`."""
    if not isinstance(value, Mapping):
        raise wrong_type(what, value, "an object")
    for key in value:
        if not isinstance(key, str):
            raise wrong_type(f"{what}: the key {key!r}", key, "text")
    return value


def text_pairs(entry: Entry, key: str) -> tuple[tuple[str, str], ...]:
    """The object of strings at `key`, as pairs. Integers are converted, such as in PORT: 3000."""
    found = []
    for name, value in (table(entry, key) or {}).items():
        if not is_scalar(value) or isinstance(value, bool | float):
            raise wrong_type(f"{key}: {shown(name)}", value, "text")
        found.append((name, str(value)))
    return tuple(found)


READERS: Mapping[object, Callable[[Entry, str], Any]] = {
    "string": text,
    "integer": number,
    "boolean": flag,
    "array": texts,
    "object": text_pairs,
}
"""The functions above by the JSON type of the values that they read."""


WRITERS: Mapping[object, Callable[[Any], object]] = {"array": list, "object": dict}
"""What makes a JSON value of an attribute, by its type; others are written as they are."""


def read_values(entry: Entry, keys: Mapping[str, Schema]) -> dict[str, Any]:
    """The values at keys with these schemas. A key that is absent has the empty value of its type, or None."""
    return {key: READERS[schema["type"]](entry, key) for key, schema in keys.items()}


def written_values(owner: object, keys: Mapping[str, Schema]) -> dict[str, object]:
    """The inverse of `read_values`: the attributes with the names of these keys that are set, with JSON values."""
    values = {key: WRITERS.get(schema["type"], plain)(getattr(owner, key)) for key, schema in keys.items()}
    return present(values)


def plain(value: object) -> object:
    """The value; None for False, which is the default of all flags."""
    return None if value is False else value


def present(entry: Entry) -> dict[str, object]:
    """The entry without keys that are None or empty."""
    return {key: value for key, value in entry.items() if value not in (None, "", (), [], {})}


def refuse_unknown_keys(entry: Entry, known: Iterable[str], what: str) -> None:
    """Raise UsageError for the first unknown key."""
    known = tuple(dict.fromkeys(known))
    for key in entry:
        if key not in known:
            raise UsageError(f"{what} has no key {key!r}", hint=did_you_mean(key, known), key=key)


def shown(name: str) -> str:
    """A name of a file for a message: quoted if it has unprintable characters."""
    return name if name.isprintable() else repr(name)


def is_scalar(value: object) -> bool:
    """Whether a value is a string, number or boolean."""
    return isinstance(value, str | int | float)


def wrong_type(what: str, value: object, wanted: str, *, hint: str = "") -> UsageError:
    """The error for a value of the wrong type."""
    found = "text" if isinstance(value, str) else TYPE_NAMES.get(type(value), type(value).__name__)
    return UsageError(f"{what} must be {wanted}, not {found}", hint=hint)
