"""The JSON Schema of project files, generated from the keys that the targets declare."""

from ocattach.config.common_keys import COMMON_KEYS
from ocattach.config.files.entry import Schema
from ocattach.config.names import PATTERN, RESERVED_IN_PROJECTS
from ocattach.config.targets.base import Target
from ocattach.config.targets.registry import URI_SCHEMES, target_class, transports

URI = f"^({'|'.join(sorted({*transports(), *URI_SCHEMES}))})://"


def project_schema() -> Schema:
    """The schema of the keys `environments` and `default` in opencode.json, and of .opencode/ocattach.json."""
    keys = {
        "environments": {"$ref": "#/definitions/environments"},
        "default": {
            "description": "The environment that `ocattach` without a name connects to, once it is trusted.",
            "type": "string",
            "pattern": f"^{PATTERN}$",
        },
    }
    return {
        "$schema": "http://json-schema.org/draft-07/schema#",
        "title": "Connections of ocattach in opencode.json or .opencode/ocattach.json",
        "description": "Other keys of opencode.json belong to OpenCode and are not checked.",
        "allowComments": True,
        "allowTrailingCommas": True,
        "type": "object",
        "properties": {
            "$schema": {"type": "string"},
            **keys,
            "experimental": {"type": "object", "properties": keys},
        },
        "definitions": {
            "environments": {
                "description": "Connections by name, as used by `ocattach NAME`.",
                "type": "object",
                "propertyNames": {"pattern": f"^{PATTERN}$", "not": {"enum": sorted(RESERVED_IN_PROJECTS)}},
                "additionalProperties": {"$ref": "#/definitions/environment"},
            },
            "environment": environment_schema(),
            **{transport: entry_schema(target_class(transport)) for transport in transports()},
        },
    }


def environment_schema() -> Schema:
    """The schema of a connection: a URI, or an object that depends on its transport."""
    return {
        "type": ["object", "string"],
        "pattern": URI,
        "required": ["transport"],
        "properties": {"transport": {**COMMON_KEYS["transport"], "enum": list(transports())}},
        "allOf": [
            {
                "if": {
                    "type": "object",
                    "properties": {"transport": {"const": transport}},
                    "required": ["transport"],
                },
                "then": {"$ref": f"#/definitions/{transport}"},
            }
            for transport in transports()
        ],
    }


def entry_schema(kind: type[Target]) -> Schema:
    """The schema of entries of one transport, without the keys that only the user may set."""
    keys = {"transport": {"const": kind.scheme}, **kind.keys}
    keys.update({key: schema for key, schema in COMMON_KEYS.items() if key not in keys})
    return {
        "title": kind.label,
        "properties": {key: schema for key, schema in keys.items() if key not in kind.user_only_keys},
        "additionalProperties": False,
        **kind.key_rules,
    }
