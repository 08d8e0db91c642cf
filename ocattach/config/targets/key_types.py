"""JSON Schema of the keys of entries, by which they are read, and which `ocattach --schema` prints."""

from collections.abc import Mapping

from ocattach.config.files.entry import Schema
from ocattach.config.targets.rules import HIGHEST_PORT

PRINTABLE = r"[^\u0000-\u001f\u007f-\u009f]"
TEXT = f"^(?!-){PRINTABLE}+$"
FILE = f"^(~/|/){PRINTABLE}*$"
VARIABLE = "[A-Za-z_][A-Za-z0-9_]*"


def string(description: str, pattern: str, *examples: str) -> Schema:
    """A string that matches a pattern."""
    return with_examples({"description": description, "type": "string", "pattern": pattern}, examples)


def word(description: str, *examples: str, also: str = "") -> Schema:
    """A string that `check_word` accepts."""
    return string(description, f"^[A-Za-z0-9_][A-Za-z0-9_.{also}-]*$", *examples)


def text(description: str, *examples: str) -> Schema:
    """A string that `check_text` accepts."""
    return string(description, TEXT, *examples)


def file(description: str, *examples: str) -> Schema:
    """A path of this machine that `check_file` accepts."""
    return string(description, FILE, *examples)


def port(description: str) -> Schema:
    """A TCP port."""
    return {"description": description, "type": "integer", "minimum": 1, "maximum": HIGHEST_PORT}


def array(description: str, pattern: str, *examples: list[str]) -> Schema:
    """A list of strings that match a pattern."""
    items = {"type": "string", "pattern": pattern}
    return with_examples({"description": description, "type": "array", "items": items}, examples)


def table(description: str, names: str, values: Schema) -> Schema:
    """An object with any keys that match a pattern."""
    return {
        "description": description,
        "type": "object",
        "propertyNames": {"pattern": names},
        "additionalProperties": values,
    }


def record(description: str, properties: Mapping[str, Schema]) -> Schema:
    """An object with exactly these keys."""
    return {
        "description": description,
        "type": "object",
        "properties": properties,
        "required": list(properties),
        "additionalProperties": False,
    }


def with_examples(schema: Schema, examples: tuple[object, ...]) -> Schema:
    """The same schema with examples, if there are any."""
    return {**schema, "examples": list(examples)} if examples else schema


def required(*keys: str) -> Schema:
    """The rule that an entry has all of these keys."""
    return {"required": list(keys)}


def exactly_one(*keys: str) -> Schema:
    """The rule that an entry has one of these keys."""
    return {"oneOf": [required(key) for key in keys]}


def not_together(*keys: str) -> Schema:
    """The rule that an entry does not have all of these keys."""
    return {"not": required(*keys)}
