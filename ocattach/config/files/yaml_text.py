"""Reading YAML, with a fast path for the files that ocattach writes."""

import re
from pathlib import Path

from ocattach.config.files.entry import Entry, as_table
from ocattach.config.files.safe import naming
from ocattach.errors import ConfigurationError

PLAIN_LINE = re.compile(r"([a-z_]+): (?:(~?[A-Za-z/][A-Za-z0-9_./:=@+-]*(?<!:))|([1-9][0-9]{0,8})) *")
"""A key with a word or a number. The words are names, paths, URLs and selectors; one that ends in `:` is a key."""

NOT_TEXT = frozenset({"y", "n", "yes", "no", "on", "off", "true", "false", "null"})
"""Words that YAML does not read as strings."""


def read_mapping(text: str, path: Path) -> Entry:
    """Parse a YAML file with a mapping. Raises ConfigurationError naming file and line."""
    plain = read_plain(text)
    if plain is not None:
        return plain
    import yaml  # noqa: PLC0415 - heavy

    loader = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
    try:
        value = yaml.load(text, Loader=loader)  # noqa: S506 - one of the safe loaders
    except yaml.MarkedYAMLError as error:
        line = f" in line {error.problem_mark.line + 1}" if error.problem_mark else ""
        raise ConfigurationError(
            f"{path} is not valid YAML{line}: {error.problem or error.context}"
        ) from error
    except yaml.reader.ReaderError as error:
        bad, at = chr(error.character), text.count("\n", 0, error.position) + 1
        raise ConfigurationError(
            f"{path} is not valid YAML in line {at}: invalid character {bad!r}"
        ) from error
    except (yaml.YAMLError, ValueError, RecursionError) as error:
        raise ConfigurationError(f"{path} is not valid YAML: {' '.join(str(error).split())}") from error
    with naming(path):
        return as_table({} if value is None else value, "the file")


def read_plain(text: str) -> Entry | None:
    """Parse lines `key: value` of plain words and numbers; None if the text has anything else.

    Most saved connections have only such lines, and importing the YAML library takes longer than the rest of a warm
    start.
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
