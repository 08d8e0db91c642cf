"""The options --save, --list, --remove, --default, --disconnect and --stop."""

import os
import sys
from contextlib import suppress
from typing import Any

import click

from ocattach.cli.amounts import ago
from ocattach.cli.command import advice
from ocattach.cli.options import Options
from ocattach.cli.output import connection_json, print_json, problem_json, report, say_problems, source
from ocattach.cli.person import Person
from ocattach.cli.tables import file_name, print_table
from ocattach.cli.target import resolve_target
from ocattach.cli.terminal import say
from ocattach.cli.unknown_key import warn_of_refused_files
from ocattach.config.changes import remove_connection, set_default
from ocattach.config.default import find_default
from ocattach.config.files.paths import config_directory
from ocattach.config.files.safe import Problem
from ocattach.config.names import is_name
from ocattach.config.resolver import Listing, list_connections
from ocattach.config.saved import SavedConnections
from ocattach.config.settings import FILE
from ocattach.config.spec import ConnectionSpec
from ocattach.config.targets.meant import meant_uri
from ocattach.config.targets.uri import is_uri
from ocattach.config.variables import working_directory
from ocattach.errors import ConfigurationError, OcattachError, UsageError
from ocattach.link.client.foreground import end_link, is_linked, stop_daemon
from ocattach.link.files import link_keys
from ocattach.printable import command_line


def save(options: Options) -> None:
    """Save a URI and the options under a name."""
    if options.target is None or not is_uri(options.target):
        raise no_uri(options.save or "", options.target)
    spec = options.applied_to(ConnectionSpec.from_uri(options.target, working_directory())).pinned(os.environ)
    saved = SavedConnections(config_directory(os.environ)).save(options.save or "", spec, force=options.force)
    say_done(options, f"Saved {saved.name} ({saved.display()})", {"saved": connection_json(saved)})


def no_uri(name: str, typed: str | None) -> UsageError:
    """Return the error for a connection that is to be saved without a URI, with the one that may have been meant."""
    meant = meant_uri(typed) if typed is not None and not is_name(typed) else None
    command = command_line("ocattach", "--save", name, meant or "docker://CONTAINER:/DIR")
    return UsageError(
        "--save requires a URI" if typed is None else f"--save requires a URI, not {typed!r}",
        hint=f"Did you mean: {command}" if meant else f"For example: {command}",
    )


def remove(options: Options) -> None:
    """Remove a saved connection."""
    name = options.remove or ""
    spec = None
    with suppress(OcattachError):  # a damaged file can be removed, too
        spec = SavedConnections(config_directory(os.environ)).find(name)
    was_default = remove_connection(name, cwd=working_directory(), environ=os.environ)
    note = ", which was the default" if was_default else ""
    say_done(options, f"Removed {name}{note}", {"removed": name})
    if spec is not None and is_linked(spec.pinned(os.environ), os.environ):
        stop = command_line("ocattach", "--stop", spec.target.uri(spec.workdir))
        say(f"Its link is open, and its daemon keeps running. To stop both: {stop}")


def default(options: Options) -> None:
    """Set the connection that `ocattach` without a name connects to, or with an empty name unset it."""
    name = options.default or None
    set_default(name, cwd=working_directory(), environ=os.environ)
    text = f"The default is {name} now" if name else "The default is unset"
    say_done(options, text, {"default": name})


def list_(options: Options) -> None:
    """List every connection that can be named in this directory."""
    listing, default = listing_and_default()
    if options.output == "json":
        print_json(
            {
                "connections": [
                    {
                        **connection_json(listed.spec),
                        "hides": [connection_json(hidden) for hidden in listed.hides],
                        "last_used": listed.last_used,
                        "default": listed.spec.name == default,
                    }
                    for listed in listing.connections
                ],
                "problems": [problem_json(problem) for problem in listing.problems],
            }
        )
        return
    if options.output == "name":
        for listed in listing.connections:
            click.echo(listed.spec.name)
    elif listing.connections:
        print_listing(listing, default, is_wide=options.output == "wide")
    else:
        say("No connections found. To save one: ocattach --save NAME docker://CONTAINER:/DIR")
    definitions = [spec for listed in listing.connections for spec in (listed.spec, *listed.hides)]
    warn_of_refused_files(
        spec.source.path for spec in definitions if spec.source.kind == "project" and spec.source.path
    )
    say_problems(listing.problems)


def listing_and_default() -> tuple[Listing, str | None]:
    """The connections, and the name of the default. A default that cannot be used is one more problem."""
    cwd = working_directory()
    listing = list_connections(cwd=cwd, environ=os.environ)
    try:
        found = find_default(listing, cwd=cwd, environ=os.environ)
    except ConfigurationError as error:
        problem = Problem(config_directory(os.environ) / FILE, None, error)
        return listing._replace(problems=(*listing.problems, problem)), None
    return listing, found.name if found else None


def print_listing(listing: Listing, default: str | None, *, is_wide: bool) -> None:
    """Print the connections as a table; if it is wide, nothing is wrapped or left out, and descriptions are added."""

    def source_of(spec: ConnectionSpec) -> str:
        return source(spec, file_name(spec.source.path))

    rows = []
    for listed in listing.connections:
        spec = listed.spec
        note = "".join(f", hides {source_of(hidden)}" for hidden in listed.hides)
        note += ", default" if spec.name == default and len(listing.connections) > 1 else ""
        place = spec.display() if is_wide or not sys.stdout.isatty() else spec.place()
        row = (spec.name or "", place, source_of(spec) + note, ago(listed.last_used))
        rows.append((*row, spec.description) if is_wide else row)
    titles = ("Name", "Target", "Source", "Last used", *(["Description"] if is_wide else []))
    print_table(titles, rows, below={"Target"}, is_wide=is_wide)


def disconnect(options: Options) -> None:
    """Close links: those of the named connections, or all."""
    if options.all_:
        count = sum(end_link(key, os.environ) for key in link_keys(os.environ))
        say_done(options, f"Closed {count} link{'' if count == 1 else 's'}", {"disconnected": count})
        return
    count = 0
    for each in named(options, "--disconnect"):
        with advice(each.target):
            ended = end_link(resolve_target(each).link_key(os.environ), os.environ)
        count += ended
        say_each(options, f"Disconnected {each.target}" if ended else f"{each.target} was not connected")
    say_all(options, {"disconnected": count})


def stop(options: Options) -> None:
    """Stop the daemons of the named environments and close their links."""
    person = Person(quiet=options.quiet)
    pids = []
    for each in named(options, "--stop"):
        with advice(each.target):
            spec = resolve_target(each)
            with person.waiting(f"Stopping the daemon of {each.target}"):
                pid = stop_daemon(
                    spec, person, os.environ, force=options.force, timeout=options.timeout or 30
                )
        stopped = f"Stopped the daemon of {each.target} (pid {pid})"
        say_each(options, stopped if pid else f"No daemon is running in {each.target}")
        pids.append(pid)
    say_all(options, {"stopped": pids[0] if len(pids) == 1 else pids})


def named(options: Options, option: str) -> list[Options]:
    """The options for each of the named connections. Raises UsageError if none was given."""
    if not options.targets:
        raise UsageError(f"{option} requires a NAME", hint="List all connections: ocattach --list")
    return [options._replace(targets=(target,)) for target in dict.fromkeys(options.targets)]


def say_done(options: Options, text: str, document: dict[str, Any]) -> None:
    """Report the result in the output format of the options."""
    report(text, document, output=options.output, quiet=options.quiet)


def say_each(options: Options, text: str) -> None:
    """Report one of several results at once, since the next may fail; nothing with JSON."""
    if options.output != "json":
        say_done(options, text, {})


def say_all(options: Options, document: dict[str, Any]) -> None:
    """Report all results as JSON, if that was requested."""
    if options.output == "json":
        print_json(document)
