"""`ocattach explain`: what connecting would run, where, and which file defines it. Reads files only."""

import os
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import click

from ocattach.cli.command import Command, output_option
from ocattach.cli.output import connection_json, print_json, source
from ocattach.cli.target import connection_argument
from ocattach.cli.terminal import escape
from ocattach.config.default import Default, find_default
from ocattach.config.resolver import list_connections, resolve
from ocattach.config.spec import ConnectionSpec
from ocattach.config.trust import may_be_used
from ocattach.config.variables import working_directory
from ocattach.errors import ConfigurationError, OpencodeNotFoundError
from ocattach.link.client.access import no_person
from ocattach.link.files import log_file
from ocattach.opencode.tui.launch import find_client, packaged_version
from ocattach.opencode.versions import Tui, tui_argv
from ocattach.printable import command_line
from ocattach.transports import open_handler
from ocattach.transports.base import Plan

EXAMPLES = """
ocattach explain frontend                   review a connection before its first use
ocattach explain ssh://staging:/var/www/app
ocattach explain frontend -o json | jq -r '.source.path'
"""

LABEL_WIDTH = 12
LOCAL_URL = "http://127.0.0.1:PORT"


@click.command(cls=Command, examples=EXAMPLES)
@connection_argument("target", "NAME|URI")
@output_option
def explain(target: str, output: str) -> None:
    """Show what `ocattach NAME` would run, where, and which file defines the connection. Connects to nothing."""
    spec = resolve(target, cwd=working_directory(), environ=os.environ)
    pinned = spec.pinned(os.environ).with_default_workdir(working_directory())
    handler = open_handler(pinned, ask=no_person(pinned), timeout=1)
    explanation = Explanation(spec, pinned, handler.plan())
    if output == "json":
        print_json(explanation.to_json())
        return
    for label, text in explanation.lines():
        click.echo(f"{label:<{LABEL_WIDTH}} {escape(text)}".rstrip())


@dataclass(frozen=True, slots=True)
class Step:
    """A command that connecting would run."""

    does: str
    here: bool
    argv: tuple[str, ...]
    """Names in capitals, such as PROBE.SH, are the content of that file in ocattach/daemon or ocattach/tunnel."""


@dataclass(frozen=True, slots=True)
class Explanation:
    """What connecting would do."""

    spec: ConnectionSpec
    """The connection as it is defined."""

    pinned: ConnectionSpec
    """The connection with the settings of this machine applied, such as the current context."""

    plan: Plan

    @property
    def is_trusted(self) -> bool:
        """Whether it may be used without a question."""
        return may_be_used(self.spec, os.environ)

    @property
    def hidden(self) -> tuple[ConnectionSpec, ...]:
        """Definitions of the same name that this one hides."""
        if self.spec.name is None:
            return ()
        listing = list_connections(cwd=working_directory(), environ=os.environ)
        return next((each.hides for each in listing.connections if each.spec.name == self.spec.name), ())

    @property
    def default(self) -> Default | None:
        """The default, if it is this connection."""
        with suppress(ConfigurationError):
            listing = list_connections(cwd=working_directory(), environ=os.environ)
            found = find_default(listing, cwd=working_directory(), environ=os.environ)
            return found if found is not None and found.name == self.spec.name else None
        return None

    @property
    def forwarded(self) -> dict[str, bool]:
        """The variables of this machine that would be passed to the daemon, and whether each is set."""
        return {name: name in os.environ for name in self.pinned.forward_env}

    @property
    def log(self) -> Path | None:
        """The log file of the link; None without a link."""
        if not self.pinned.target.needs_link:
            return None
        return log_file(self.pinned.link_key(os.environ), os.environ)

    def steps(self) -> Iterator[Step]:
        """The commands in order, as far as they are known without connecting."""
        spec = self.pinned
        if self.plan.runs_commands:
            workdir, opencode, port = spec.workdir or "", spec.opencode or "", str(spec.daemon_port or "")
            look = ("sh", "-c", "PROBE.SH", "ocattach", workdir, opencode, port)
            yield Step("look for a daemon", here=False, argv=(*self.plan.command, *look))
            program = spec.opencode or "opencode"
            serve = (program, "serve", "--hostname", "127.0.0.1", "--port", str(spec.daemon_port or 0))
            yield Step("start a daemon if none is running", here=False, argv=serve)
            if any(route.startswith("relay") for route in self.plan.routes):
                relay = (program, "--config=/dev/null", "--no-env-file", "-e", "RELAY.JS")
                yield Step("relay connections to it (BUN_BE_BUN=1)", here=False, argv=relay)
        yield Step("open the TUI", here=True, argv=tuple(self.tui()))

    def tui(self) -> list[str]:
        """The command of the TUI, without what keeps it from resolving the directory here (`launch.unresolved`).

        The version is read from files: no program is run.
        """
        try:
            program = find_client(os.environ)
        except OpencodeNotFoundError:
            program = "opencode"
        version = packaged_version(Path(program).resolve()) or "unknown"
        return tui_argv(program, version, Tui(url=self.plan.url or LOCAL_URL, directory=self.pinned.workdir))

    def lines(self) -> Iterator[tuple[str, str]]:
        """The explanation as labels and texts."""
        spec = self.pinned
        yield "connection", spec.title()
        if spec.description:
            yield "", spec.description
        yield "defined by", "the command line" if spec.source.kind == "typed" else source(spec)
        for hidden in self.hidden:
            yield "hides", f"{hidden.display()} ({source(hidden)})"
        if (default := self.default) is not None:
            yield "default", f"set in {default.path}" if default.path else "the only connection"
        if spec.source.kind == "project":
            approve = (
                f"not approved; to review and approve it: {command_line('ocattach', 'trust', spec.name)}"
            )
            yield "trust", "approved" if self.is_trusted else approve
        yield "reached by", self.plan.connection
        yield "directory", spec.workdir or "the daemon's default"
        for route in self.plan.routes:
            yield "route", route
        if self.plan.runs_commands:
            yield from self.daemon_lines()
        yield "link log", str(self.log) if self.log else "none: this connection needs no link"
        for step in self.steps():
            yield "runs here" if step.here else "runs there", step.does
            yield "", f"$ {command_line(*step.argv)}"

    def daemon_lines(self) -> Iterator[tuple[str, str]]:
        """The program, port and variables of a daemon that would be started; values of variables are not shown."""
        spec = self.pinned
        yield "opencode", spec.opencode or "searched on PATH and in the usual installation directories"
        yield "port", str(spec.daemon_port or "4096 if free, else any")
        if spec.env:
            yield "variables", f"set: {', '.join(name for name, _ in spec.env)}"
        if spec.unset_env:
            yield "variables", f"unset: {', '.join(spec.unset_env)}"
        for name, is_set in self.forwarded.items():
            yield "variables", f"from this machine: {name}" + ("" if is_set else " (not set here)")

    def to_json(self) -> dict[str, Any]:
        """The explanation as JSON."""
        spec = self.pinned
        return {
            **connection_json(spec),
            "description": spec.description,
            "hides": [connection_json(hidden) for hidden in self.hidden],
            "trusted": self.is_trusted,
            "default": self.default is not None,
            "way": self.plan.connection,
            "routes": list(self.plan.routes),
            "daemon": {
                "port": spec.daemon_port,
                "opencode": spec.opencode,
                "env": [name for name, _ in spec.env],
                "unset_env": list(spec.unset_env),
                "forward_env": [{"name": name, "set": is_set} for name, is_set in self.forwarded.items()],
            },
            "link_log": str(self.log) if self.log else None,
            "commands": [
                {"does": step.does, "where": "here" if step.here else "there", "argv": list(step.argv)}
                for step in self.steps()
            ],
        }
