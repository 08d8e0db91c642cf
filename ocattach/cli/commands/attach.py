"""`ocattach NAME`: connect and open the TUI, or print the URL."""

import os
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from datetime import datetime
from typing import Any

import click

from ocattach.cli.options import Options
from ocattach.cli.output import print_json
from ocattach.cli.person import Person
from ocattach.cli.target import connect_seconds, resolve_target
from ocattach.cli.terminal import say, set_title
from ocattach.cli.tui_program import TuiProgram
from ocattach.config.files.paths import state_directory
from ocattach.config.last_used import record_use
from ocattach.config.spec import ConnectionSpec
from ocattach.errors import UsageError
from ocattach.link.client.foreground import Attachment
from ocattach.link.client.foreground import attach as attach_link
from ocattach.link.files import link_files
from ocattach.link.messages import waiting_notice
from ocattach.opencode.tui.launch import shows_title, tui_environ, unresolved
from ocattach.opencode.versions import Tui, check_tui, shortcomings, tui_argv
from ocattach.printable import command_line


def attach(options: Options) -> None:
    """Connect to NAME or URI and open the TUI, or print the URL."""
    spec = resolve_target(options)
    options = with_whole_session(options)
    person = Person(quiet=options.quiet)
    client = None if options.print_url else terminal_client(options)
    person.heading(f"Connecting to {spec.title()}")
    timeout = options.timeout or connect_seconds()
    with person.waiting("Connecting"), stop_named(options):
        attachment = attach_link(spec, person, os.environ, start=not options.no_start, timeout=timeout)
    if spec.name:
        record_use(spec.name, state_directory(os.environ))
    if options.session and options.target:
        from ocattach.survey.find import choose  # noqa: PLC0415 - SQLite is slow to import

        choose(options.session, spec, os.environ)
    if options.verbose:
        pid = f", pid {attachment.pid}" if attachment.pid else ""
        say(f"Daemon: OpenCode {attachment.version}, port {attachment.port}{pid} there")
        for lack in shortcomings(attachment.version):
            say(f"OpenCode {attachment.version} there: {lack}")
        log = f"log {link_files(spec.link_key(os.environ), os.environ).log}"
        for event in attachment.history:
            say(f"Link: {event_line(event)}")
        say(f"Link: {attachment.url}, {log}" if spec.target.needs_link else f"No link: {attachment.url}")
    if client is None:
        print_attachment(options, spec, attachment)
    else:
        if spec.source.kind == "project" and spec.source.path:
            from ocattach.cli.unknown_key import warn_of_refused_files  # noqa: PLC0415 - warm

            warn_of_refused_files([spec.source.path], client.version)
        come_back = command_line("ocattach", options.target or "", "-c")
        person.heading(f"To come back: {come_back}; to stop the daemon: {stop_command(options)}")
        if others := [each for each in attachment.waiting if each != options.session]:
            person.notice(waiting_notice(options.target or "", others))
        if shows_title(os.environ):
            set_title(f"{spec.name or spec.display()} - OpenCode")
        open_tui(client, options, attachment)


def with_whole_session(options: Options) -> Options:
    """The options with the whole id of the session of which the beginning was typed."""
    if options.session is None:
        return options
    from ocattach.survey.find import meant_session  # noqa: PLC0415 - SQLite is slow to import

    return options._replace(session=meant_session(options.session, os.environ))


@contextmanager
def stop_named(options: Options) -> Iterator[None]:
    """Name the command that stops the daemon if the user interrupts its start."""
    try:
        yield
    except KeyboardInterrupt:
        if not options.no_start:
            say(f"\nInterrupted. If a daemon was being started, stop it: {stop_command(options)}")
        raise


def stop_command(options: Options) -> str:
    """The command that stops the daemon, to paste."""
    return command_line("ocattach", "--stop", options.target or "")


def event_line(event: Mapping[str, Any]) -> str:
    """An event of a link's history with its local time of day."""
    when = datetime.fromtimestamp(event["time"]).astimezone()
    return f"{when:%H:%M:%S} {event['event']}"


def terminal_client(options: Options) -> TuiProgram:
    """The opencode program for the TUI. Raises UsageError without a terminal, OpencodeNotFoundError without it."""
    if not (sys.stdin.isatty() and sys.stdout.isatty()):
        raise UsageError(
            "The TUI needs a terminal",
            hint=f"To print the URL instead: {command_line('ocattach', options.target or 'NAME', '--print-url')}",
        )
    return TuiProgram(os.environ)


def open_tui(client: TuiProgram, options: Options, attachment: Attachment) -> None:
    """Replace this process by the TUI. Raises OpencodeIncompatibleError if it cannot show this daemon's sessions."""
    username, directory = attachment.username, attachment.workdir
    tui = Tui(
        url=attachment.url,
        directory=unresolved(directory) if directory and not attachment.shares_files else directory,
        session=options.session,
        continue_last=options.continue_,
        fork=options.fork,
        more=options.tui_arguments,
    )

    def content_type(path: str) -> str:
        from ocattach.link.client.access import client_at  # noqa: PLC0415 - loads ssl, for old versions only

        return client_at(attachment).request("GET", path).content_type

    check_tui(client.version, attachment.version, tui, username=username, content_type=content_type)
    argv = tui_argv(client.path, client.version, tui)
    environ = tui_environ(
        os.environ,
        client.version,
        username=username,
        password=attachment.password,
        ca_file=attachment.ca_file,
    )
    sys.stdout.flush()
    sys.stderr.flush()
    client.become(argv, environ)


def print_attachment(options: Options, spec: ConnectionSpec, attachment: Attachment) -> None:
    """Print the URL, or a document with everything that a client needs."""
    if options.output != "json":
        click.echo(attachment.url)
        if sys.stdout.isatty():
            details = command_line("ocattach", options.target or "", "--print-url", "-o", "json")
            say(f"User and password: {details}")
        return
    keys = ("url", "username", "password", "workdir", "version", "route")
    print_json(
        {
            "name": spec.name,
            "uri": spec.display(),
            **{key: getattr(attachment, key) for key in keys},
            "daemon": {"port": attachment.port, "pid": attachment.pid, "started": attachment.started},
            **({"ca_file": attachment.ca_file} if attachment.ca_file else {}),
        }
    )
