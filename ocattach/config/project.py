"""Connections that a team defines in files of its project.

Others write these files, so keys that act on this machine are rejected here, and a definition is used only after the
user has approved it (`ocattach.config.trust`).
"""

import re
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

from ocattach.config.files.devcontainer import local_variables
from ocattach.config.files.entry import Entry, as_table, table, text
from ocattach.config.files.ownership import OWN_FOLDER, is_foreign_tree
from ocattach.config.files.safe import Problem
from ocattach.config.names import check_project_name
from ocattach.config.project_files import (
    DEFAULT,
    clipped,
    foreign_tree,
    git_root,
    located,
    project_files,
    read_file,
)
from ocattach.config.spec import ConnectionSpec, DefinitionSource, canonical
from ocattach.config.suggestion import did_you_mean
from ocattach.config.targets.devcontainer import DEVCONTAINER, absolute
from ocattach.config.targets.uri import is_uri, parse_uri
from ocattach.errors import ConfigurationError, UsageError
from ocattach.printable import command_line

MOST_PROBLEMS, MOST_ENTRIES = 10, 500
"""How many problems of a file are reported, and how many entries are read: every command reads them."""

ON_THIS_MACHINE = "it determines what is run on this machine"
WHY_NOT = {
    "allow_plain_password": "your password would go over the network in the clear",
    "ca_file": "it determines which servers this machine trusts",
    "cert_path": "it selects private keys of yours",
    "local_env": "it is read from devcontainer.json",
    "headers": "secrets do not belong in a shared file",
    "identity_file": "it selects a private key of yours",
    "password_command": "it runs a command on this machine",
}
"""Reasons why only the user may set a key."""

HOST_KEYS = "it determines which host keys are accepted"
IN_SSH_CONFIG = "Set it in your ~/.ssh/config: "
NOWHERE = {
    "proxycommand": ("it runs a command on this machine", f"{IN_SSH_CONFIG}ProxyCommand"),
    "stricthostkeychecking": (HOST_KEYS, f"{IN_SSH_CONFIG}StrictHostKeyChecking"),
    "userknownhostsfile": (HOST_KEYS, f"{IN_SSH_CONFIG}UserKnownHostsFile"),
    "knownhosts": (HOST_KEYS, f"{IN_SSH_CONFIG}UserKnownHostsFile"),
    "password": (
        "secrets do not belong in a shared file",
        "Remove it: ocattach asks for the password; for http, password_env can name a variable that holds it",
    ),
}
"""Keys of other tools that do not exist here: why, and the alternative."""

LONGEST_DEFINITION, LONGEST_DESCRIPTION = 1000, 300
MOST_VARIABLES, LONGEST_VARIABLE = 64, 4096
"""Limits of a definition: people have to read it before they approve it."""

SUBSTITUTION = re.compile(r"\{(?:env|file):[^}]*\}")
"""Substitutions that OpenCode makes in its own configuration files."""


def project_definitions(cwd: Path) -> Iterator[ConnectionSpec | Problem]:
    """All definitions seen from a directory, with problems; of several with one name the first takes effect.

    Nearer directories come first, and in each directory `.opencode/ocattach.json` before OpenCode's files.
    """
    for path in project_files(cwd):
        yield from file_definitions(path)
    root = git_root(cwd)
    if root is not None and is_foreign_tree(root):
        yield Problem(root / ".git", None, foreign_tree(root), is_note=True)


def project_default(cwd: Path) -> tuple[Path, ConnectionSpec] | None:
    """The definition that the nearest `default` names, and the file with that key.

    None without a default, and if a nearer file, which may have one, cannot be used. Raises ConfigurationError for a
    default that does not name a valid definition of the project.
    """
    for path in project_files(cwd):
        try:
            read = read_file(path)
        except UsageError:
            return None
        if read is not None and read.default is not None:
            try:
                return path, defined(text({DEFAULT: read.default}, DEFAULT) or "", cwd)
            except UsageError as error:
                raise located(error, path, read.lines) from error
    return None


def defined(name: str, cwd: Path) -> ConnectionSpec:
    """The definition that `default` names. Raises UsageError with similar names if there is none."""
    spec = find_in_project(name, cwd)
    if spec is None:
        known = {each.name for each in project_definitions(cwd) if isinstance(each, ConnectionSpec)}
        raise UsageError(
            f"{DEFAULT}: no environment named {clipped(name)!r} is defined here",
            hint=did_you_mean(name, filter(None, known)),
            key=DEFAULT,
        )
    return spec


def find_in_project(name: str, cwd: Path) -> ConnectionSpec | None:
    """The definition of a name that takes effect; None if there is none.

    Raises ConfigurationError if it, or a nearer file that may define it, is invalid.
    """
    for item in project_definitions(cwd):
        if isinstance(item, ConnectionSpec):
            if item.name == name:
                return item
        elif item.name in (name, None) and not item.is_note:
            raise item.error
    return None


def file_definitions(path: Path) -> Iterator[ConnectionSpec | Problem]:
    """The definitions in a file, with problems; none if the file does not exist.

    After `MOST_PROBLEMS` the rest of the file is one more problem.
    """
    try:
        read = read_file(path)
    except ConfigurationError as error:
        yield Problem(path, None, error)
        return
    if read is None:
        return
    problems = 0
    for number, (name, entry) in enumerate(read.environments.items()):
        if problems == MOST_PROBLEMS or number == MOST_ENTRIES:
            rest = len(read.environments) - number
            yield Problem(path, None, too_many(path, rest, is_invalid=problems > 0))
            return
        try:
            yield definition(name, entry, path)
        except UsageError as error:
            problems += 1
            yield Problem(path, name, located(error, path, read.lines, name, entry))


def too_many(path: Path, rest: int, *, is_invalid: bool) -> ConfigurationError:
    """The error for entries of a file that are not read."""
    if is_invalid:
        return ConfigurationError(f"{path}: {rest} more entries were not read; correct the first ones")
    return ConfigurationError(f"{path}: only the first {MOST_ENTRIES} entries are used; {rest} more follow")


def definition(name: str, value: object, path: Path) -> ConnectionSpec:
    """One entry of a project file as a connection. Raises UsageError naming the wrong key."""
    check_project_name(name)
    entry = read_entry(value)
    refuse_nonexistent_keys(entry)
    spec = ConnectionSpec.from_entry(entry, name=name)
    for key in entry:
        if key in spec.target.user_only_keys:
            raise UsageError(
                f"{key} cannot be set in a project file: {WHY_NOT.get(key, ON_THIS_MACHINE)}",
                hint=f"Remove {key}, or save your own connection: {command_line('ocattach', '--save', name, 'URI')}",
            )
    refuse_substitutions(entry)
    root = path.parent.parent if path.parent.name == OWN_FOLDER else path.parent
    folder = entry.get(DEVCONTAINER)
    if isinstance(folder, str):
        entry = {**entry, "local_env": local_variables(Path(absolute(folder, root)))}
        spec = ConnectionSpec.from_entry(entry, name=name)
    check_size(spec.to_entry())
    source = DefinitionSource("project", path, canonical(spec.to_entry()))
    return replace(spec, target=spec.target.located(root), source=source)


def read_entry(value: object) -> Entry:
    """An entry of a project file, which may be written as a URI."""
    if isinstance(value, str) and is_uri(value):
        parsed = parse_uri(value)
        return ConnectionSpec(target=parsed.target, workdir=parsed.workdir).to_entry()
    return as_table(value, "the environment")


def refuse_nonexistent_keys(entry: Entry) -> None:
    """Raise UsageError with an alternative for keys that users expect from other tools."""
    for key in entry:
        if found := NOWHERE.get(key.replace("_", "").lower()):
            why, hint = found
            raise UsageError(f"{key} cannot be set in a project file: {why}", hint=hint)


def refuse_substitutions(entry: Entry) -> None:
    """Raise UsageError for {env:…} and {file:…}, which OpenCode would replace in its files and ocattach does not."""
    for key, value in entry.items():
        found = SUBSTITUTION.search(canonical(value))
        if found:
            raise UsageError(
                f"{key} contains {found[0]}, which is not substituted here",
                hint="To pass variables of your machine to a daemon, list their names in forward_env",
            )


def check_size(entry: Entry) -> None:
    """Raise UsageError for a definition that a terminal of 24 lines could not show where it is to be approved."""
    rest = {key: value for key, value in entry.items() if key not in ("env", "description")}
    if len(canonical(rest)) > LONGEST_DEFINITION:
        raise UsageError(
            f"the environment has more than {LONGEST_DEFINITION} characters, not counting env and description",
            hint="Shorten its values, or name fewer variables",
        )
    if len(str(entry.get("description", ""))) > LONGEST_DESCRIPTION:
        raise UsageError(f"description has more than {LONGEST_DESCRIPTION} characters")
    env = table(entry, "env") or {}
    if len(env) > MOST_VARIABLES:
        raise UsageError(f"env has more than {MOST_VARIABLES} variables")
    for name, value in env.items():
        if len(name) + len(str(value)) > LONGEST_VARIABLE:
            raise UsageError(f"env: {name[:LONGEST_DESCRIPTION]} has more than {LONGEST_VARIABLE} characters")
