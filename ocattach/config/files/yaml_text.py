"""YAML as people write it, and as we write it."""

import re
from collections.abc import Mapping
from pathlib import Path

from ocattach.config.files.entry import Entry, as_table
from ocattach.errors import ConfigurationError, UsageError

PLAIN_LINE = re.compile(r"([a-z_]+): (?:([A-Za-z/][A-Za-z0-9_./-]*)|([1-9][0-9]{0,8})) *")
NOT_TEXT = frozenset({"y", "n", "yes", "no", "on", "off", "true", "false", "null"})
"""Words that YAML reads as something else than text."""


def read_mapping(text: str, path: Path) -> Entry:
    """The keys and values of a YAML file; raises ConfigurationError naming the file and the line."""
    plain = read_plain(text)
    if plain is not None:
        return plain
    import yaml  # noqa: PLC0415 - slow to import; files that we wrote seldom need it

    loader = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
    try:
        value = yaml.load(text, Loader=loader)  # noqa: S506 - one of the safe loaders
    except yaml.MarkedYAMLError as error:
        line = f" in line {error.problem_mark.line + 1}" if error.problem_mark else ""
        raise ConfigurationError(f"{path} is no YAML{line}: {error.problem or error.context}") from error
    except yaml.reader.ReaderError as error:
        bad, at = chr(error.character), text.count("\n", 0, error.position) + 1
        raise ConfigurationError(f"{path} is no YAML in line {at}: it has the character {bad!r}") from error
    except (yaml.YAMLError, ValueError, RecursionError) as error:
        raise ConfigurationError(f"{path} is no YAML: {' '.join(str(error).split())}") from error
    try:
        return as_table({} if value is None else value, "the file")
    except UsageError as error:
        raise ConfigurationError(f"{path}: {error.message}", hint=error.hint) from error


def read_plain(text: str) -> Entry | None:
    """What YAML makes of `key: value` lines of plain words and numbers; None where more is needed.

    Most saved connections are no more than that, and the YAML library takes longer to import than all else
    that is between a name and its link.
    """
    found: dict[str, object] = {}
    for line in text.split("\n"):
        if not line or (line.startswith("#") and line.isprintable()):
            continue
        match = PLAIN_LINE.fullmatch(line)
        if match is None:
            return None
        key, word, number = match.groups()
        if key in NOT_TEXT or (word and word.lower() in NOT_TEXT):
            return None
        found[key] = word if number is None else int(number)
    return found


def write_mapping(mapping: Mapping[str, object]) -> str:
    """The inverse of `read_mapping`, one key a line."""
    import yaml  # noqa: PLC0415 - slow to import

    dumper = getattr(yaml, "CSafeDumper", yaml.SafeDumper)
    text: str = yaml.dump(dict(mapping), Dumper=dumper, sort_keys=False, allow_unicode=True, width=4096)
    return text
