"""What is fuzzed: each target takes bytes that others wrote, and fails where anything but our own errors comes out."""

import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from ocattach.cli.terminal import escape
from ocattach.config.files.safe import Problem
from ocattach.config.project import file_definitions
from ocattach.config.project_files import OPENCODE_FILES, OUR_FILES
from ocattach.config.saved import SavedConnections
from ocattach.config.settings import FILE, load_settings
from ocattach.config.spec import ConnectionSpec
from ocattach.config.targets.uri import parse_uri
from ocattach.config.trust import TrustLedger
from ocattach.daemon.script import parse_report
from ocattach.errors import ConfigurationError, ConnectionLostError, InvalidURIError, OcattachError
from ocattach.execution import CommandResult
from tests.fuzz.environments import ENVIRONMENT_TARGETS
from tests.rigs.printed import is_printable

Target = Callable[[bytes], None]


class Broken(AssertionError):  # noqa: N818 - it is what is looked for
    """A promise was not kept."""


def check(kept: object, what: object) -> None:
    """Fail unless a promise was kept."""
    if not kept:
        raise Broken(what)


def check_error(error: OcattachError) -> None:
    """An error says something, on lines that cannot drive a terminal or pass for others."""
    check(error.message, "an error without a message")
    for text in (error.message, error.hint):
        check("\n" not in text, f"a line break that somebody else made: {text!r}")
        check(is_printable(escape(text)), f"not printable: {text!r}")


def check_spec(spec: ConnectionSpec) -> None:
    """A connection is what its entry and its JSON say, and is shown as a URI that means the same."""
    check(ConnectionSpec.from_entry(spec.to_entry()).target == spec.target, spec)
    check(ConnectionSpec.from_json(spec.to_json()) == spec, spec)
    parsed = parse_uri(spec.target.uri(spec.workdir))
    check(parsed.workdir == spec.workdir, spec)
    check(is_printable(spec.display()), f"not printable: {spec.display()!r}")


def uri(data: bytes) -> None:
    """A URI, as it was typed."""
    text = data.decode(errors="surrogateescape")
    try:
        parsed = parse_uri(text)
    except InvalidURIError as error:
        check_error(error)
        return
    shown = parsed.target.uri(parsed.workdir)
    check(parse_uri(shown) == parsed, f"{text!r} is shown as {shown!r}")
    check(shown.isprintable() and shown.isascii(), f"{text!r} is shown as {shown!r}")


@contextmanager
def written(name: str, data: bytes) -> Iterator[Path]:
    """A file with these bytes."""
    with tempfile.TemporaryDirectory(prefix="octfuzz") as folder:
        path = Path(folder, name)
        path.parent.mkdir(exist_ok=True)
        path.write_bytes(data)
        yield path


def project(data: bytes) -> None:
    """A project's file, in either place."""
    for name in (OPENCODE_FILES[0], OUR_FILES[0]):
        with written(name, data) as path:
            for item in file_definitions(path):
                if isinstance(item, Problem):
                    check(str(path) in item.error.message, item)
                    check_error(item.error)
                else:
                    check_spec(item)


def saved(data: bytes) -> None:
    """A saved connection, that can be replaced too."""
    with written("connections/www.yaml", data) as path:
        connections = SavedConnections(path.parents[1])
        try:
            found = connections.find("www")
        except ConfigurationError as error:
            check(str(path) in error.message, error)
            check_error(error)
            found = None
        if found is not None:
            check_spec(found)
        wanted = ConnectionSpec.from_entry({"transport": "docker", "container": "c", "env": {"A": "# b\n"}})
        connections.save("www", wanted, force=True)
        saved = connections.find("www")
        check(saved is not None and saved.to_entry() == wanted.to_entry(), path.read_text())


def settings(data: bytes) -> None:
    """The user's settings."""
    with written(FILE, data) as path:
        try:
            load_settings(path.parent)
        except ConfigurationError as error:
            check(str(path) in error.message, error)
            check_error(error)


def ledger(data: bytes) -> None:
    """What has been approved."""
    with written("trust.json", data) as path:
        try:
            TrustLedger(path.parent).approvals()
        except ConfigurationError as error:
            check(str(path) in error.message, error)
            check_error(error)


def report(data: bytes) -> None:
    """What an environment answers to our scripts."""
    try:
        answer = parse_report(CommandResult(0, data, data), "probe", "ocattach")
    except ConnectionLostError as error:
        check(is_printable(escape(error.message)), error)
        return
    for key in ("probe", "daemon", "opencode"):
        for value in answer.all(key):
            check("\n" not in value and "\0" not in value, value)


TARGETS: dict[str, Target] = {
    target.__name__: target
    for target in (uri, project, saved, settings, ledger, report, *ENVIRONMENT_TARGETS)
}
CORPUS = Path(__file__).with_name("corpus")


def corpus(name: str) -> list[Path]:
    """The inputs for a target that are worth keeping."""
    return sorted(path for path in (CORPUS / name).iterdir() if path.is_file())
