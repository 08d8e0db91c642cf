"""Writing YAML, also into a file that the user edited: comments, order and unchanged lines are kept."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import yaml

from ocattach.config.files.entry import Entry
from ocattach.config.files.safe import read_text
from ocattach.config.files.yaml_text import read_mapping
from ocattach.errors import ConfigurationError

MISSING = object()
COMMENT = re.compile(r"\s*(?:#.*)?")


@dataclass(frozen=True, slots=True)
class Member:
    """A key of a file with its lines."""

    key: str
    value_lines: list[str]
    """The lines of the key and its value."""

    following: list[str]
    """Comments and empty lines up to the next key."""


def write_mapping(mapping: Mapping[str, object]) -> str:
    """The inverse of `read_mapping`."""
    dumper = getattr(yaml, "CSafeDumper", yaml.SafeDumper)
    text: str = yaml.dump(dict(mapping), Dumper=dumper, sort_keys=False, allow_unicode=True, width=4096)
    return text


def replace_text(path: Path, text: str) -> str:
    """The text to write to a file that exists: `text` with the comments of the file."""
    try:
        former = read_text(path)
    except ConfigurationError:
        return text
    return merge_mapping(former, text, path) if former else text


def merge_mapping(former: str, text: str, path: Path) -> str:
    """The former text with keys and values replaced by those of `text`.

    If it cannot be merged, such as a damaged file, the result is its comment lines followed by `text`.
    """
    mapping = read_mapping(text, path)
    try:
        merged = merge_lines(former, read_mapping(former, path), mapping)
        if read_mapping(merged, path) == mapping:
            return merged
    except ConfigurationError:
        pass
    comments = [line for line in former.splitlines() if line.lstrip().startswith("#") and line.isprintable()]
    return "".join(f"{line}\n" for line in comments) + text


def merge_lines(former: str, known: Entry, mapping: Mapping[str, object]) -> str:
    """Merge `mapping` into the former text, which was read as `known`. The caller verifies the result."""
    head, members = split_members(former)
    lines = head
    kept = set()
    for member in members:
        value = mapping.get(member.key, MISSING)
        if value is not MISSING:
            kept.add(member.key)
            same = known.get(member.key, MISSING) == value
            lines += member.value_lines if same else with_value(member, value)
        else:
            lines += [line for line in member.value_lines[1:] if line.lstrip().startswith("#")]
            lines += [comment] if (comment := comment_of(member)) else []
        lines += member.following
    added = {key: value for key, value in mapping.items() if key not in kept}
    text = "".join(f"{line}\n" for line in lines)
    return text + (write_mapping(added) if added else "")


def with_value(member: Member, value: object) -> list[str]:
    """The lines of a key with another value, and the comments within the former one."""
    first, *more = write_mapping({member.key: value}).splitlines()
    comment = comment_of(member)
    inner = [line for line in member.value_lines[1:] if line.lstrip().startswith("#")]
    return [f"{first}  {comment}" if comment else first, *more, *inner]


def comment_of(member: Member) -> str:
    """The comment at the end of the first line of a key; empty if there is none."""
    line = member.value_lines[0]
    places = [place for place in range(1, len(line)) if line[place] == "#" and line[place - 1] in " \t"]
    for place in places:  # the first that is not within a string
        try:
            if yaml.safe_load(line[:place]) == yaml.safe_load(line):
                return line[place:]
        except yaml.YAMLError:
            continue
    return ""


def split_members(text: str) -> tuple[list[str], list[Member]]:
    """The lines before the first key, and the keys in order."""
    lines = text.splitlines()
    loader = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
    try:
        node = yaml.compose(text, Loader=loader)
    except yaml.YAMLError as error:
        raise ConfigurationError(f"The keys of the file cannot be located: {error}") from error
    if not isinstance(node, yaml.MappingNode):  # an empty file, or null
        return lines, []
    starts = [(str(key.value), key.start_mark.line) for key, _ in node.value]
    ends = [line for _, line in starts[1:]] + [len(lines)]
    members = []
    for (key, start), end in zip(starts, ends, strict=True):
        block = lines[start:end]
        last = next((at for at in range(len(block), 0, -1) if not COMMENT.fullmatch(block[at - 1])), 1)
        members.append(Member(key, block[:last], block[last:]))
    return lines[: starts[0][1]], members
