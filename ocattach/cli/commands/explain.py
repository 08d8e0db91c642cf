"""`ocattach explain`: what would be run, where, and by which file's word. Nothing is touched to say so."""

import os
import shlex
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import click

from ocattach.cli.command import Command, output_option
from ocattach.cli.complete import connection_names
from ocattach.cli.output import describe, print_json, source
from ocattach.cli.terminal import escape
from ocattach.config.files.paths import state_directory
from ocattach.config.resolver import list_connections, resolve
from ocattach.config.spec import ConnectionSpec
from ocattach.config.trust import TrustLedger, may_be_used
from ocattach.errors import OpencodeNotFoundError
from ocattach.link.files import log_file
from ocattach.opencode.tui.launch import find_client, packaged_version, unresolved
from ocattach.opencode.versions import Tui, tui_argv
from ocattach.transports import open_handler
from ocattach.transports.base import Plan, Question

EXAMPLES = """
ocattach explain frontend                   before it is used for the first time
ocattach explain ssh://staging:/var/www/app
ocattach explain frontend -o json | jq -r '.source.path'
"""

LABEL_WIDTH = 12
LOCAL_URL = "http://127.0.0.1:PORT"


@click.command(
    cls=Command,
    help="Tell what `ocattach NAME` would run, where, and which file says so. Touches nothing.",
    examples=EXAMPLES,
)
@click.argument("target", metavar="NAME|URI", shell_complete=connection_names)
@output_option
def explain(target: str, output: str) -> None:
    """Print what is known of a connection without asking anything but files."""
    spec = resolve(target, cwd=Path.cwd(), environ=os.environ)
    settled = spec.settled(os.environ).with_default_workdir(Path.cwd())
    handler = open_handler(settled, ask=ask_nobody, timeout=1)
    explanation = Explanation(spec, settled, handler.plan(), shares_files=handler.shares_files)
    if output == "json":
        print_json(explanation.to_json())
        return
    for label, text in explanation.lines():
        click.echo(f"{label:<{LABEL_WIDTH}} {escape(text)}".rstrip())


def ask_nobody(question: Question) -> str:
    """Whoever explains has no question."""
    raise AssertionError(question)


@dataclass(frozen=True, slots=True)
class Step:
    """A command that would be run."""

    does: str
    here: bool
    argv: tuple[str, ...]
    """Our scripts in it by their names in capitals: the files of these names in ocattach/daemon and ocattach/tunnel."""

    def to_json(self) -> dict[str, Any]:
        """The step for scripts."""
        return {"does": self.does, "where": "here" if self.here else "there", "argv": list(self.argv)}


@dataclass(frozen=True, slots=True)
class Explanation:
    """What would happen to a connection."""

    spec: ConnectionSpec
    """As it was defined."""

    settled: ConnectionSpec
    """With what this machine's settings make of it today."""

    plan: Plan
    shares_files: bool

    @property
    def is_trusted(self) -> bool:
        """Whether it may be used as it stands."""
        return may_be_used(self.spec, TrustLedger(state_directory(os.environ)), os.environ)

    @property
    def hidden(self) -> tuple[ConnectionSpec, ...]:
        """Definitions of the same name that do not count."""
        if self.spec.name is None:
            return ()
        listing = list_connections(cwd=Path.cwd(), environ=os.environ)
        return next((each.hides for each in listing.connections if each.spec.name == self.spec.name), ())

    @property
    def forwarded(self) -> dict[str, bool]:
        """Names of this machine's variables that a daemon would be started with, and whether they are set."""
        return {name: name in os.environ for name in self.settled.forward_env}

    @property
    def log(self) -> Path | None:
        """Where the link would keep its log; None without a link."""
        if not self.settled.target.needs_link:
            return None
        return log_file(self.settled.link_key(os.environ), os.environ)

    def steps(self) -> Iterator[Step]:
        """The commands, in their order, as far as they are known before anything was asked."""
        spec = self.settled
        if self.plan.runs_commands:
            workdir, opencode, port = spec.workdir or "", spec.opencode or "", str(spec.daemon_port or "")
            look = ("sh", "-c", "PROBE.SH", "ocattach", workdir, opencode, port)
            yield Step("look", here=False, argv=(*self.plan.command, *look))
            program = spec.opencode or "opencode"
            serve = (program, "serve", "--hostname", "127.0.0.1", "--port", str(spec.daemon_port or 0))
            yield Step("start a daemon, if none runs", here=False, argv=serve)
            if any(route.startswith("relay") for route in self.plan.routes):
                relay = (program, "--config=/dev/null", "--no-env-file", "-e", "RELAY.JS")
                yield Step("carry its connections (BUN_BE_BUN=1)", here=False, argv=relay)
        yield Step("show the TUI", here=True, argv=tuple(self.tui()))

    def tui(self) -> list[str]:
        """The command that would take this process's place; no program is run to find its version."""
        try:
            program = find_client(os.environ)
        except OpencodeNotFoundError:
            program = "opencode"
        version = packaged_version(Path(program).resolve()) or "unknown"
        directory = self.settled.workdir
        if directory and not self.shares_files:
            directory = unresolved(directory)
        return tui_argv(program, version, Tui(url=self.plan.url or LOCAL_URL, directory=directory))

    def lines(self) -> Iterator[tuple[str, str]]:
        """What people read: labels, and what belongs to them."""
        spec = self.settled
        yield "connection", spec.title()
        if spec.description:
            yield "", spec.description
        yield "defined by", "what was typed" if spec.source.kind == "typed" else source(spec)
        for hidden in self.hidden:
            yield "hides", f"{hidden.display()} ({source(hidden)})"
        if spec.source.kind == "project":
            approve = f"not approved yet; look at it, then: ocattach trust {spec.name}"
            yield "trust", "approved as it stands" if self.is_trusted else approve
        yield "reached by", self.plan.connection
        yield "directory", spec.workdir or "the daemon's own"
        for route in self.plan.routes:
            yield "route", route
        if self.plan.runs_commands:
            yield from self.daemon_lines()
        yield "link log", str(self.log) if self.log else "there is no link"
        for step in self.steps():
            yield "runs here" if step.here else "runs there", step.does
            yield "", f"$ {shlex.join(step.argv)}"

    def daemon_lines(self) -> Iterator[tuple[str, str]]:
        """What a daemon that is started would be given; values are nobody's business."""
        spec = self.settled
        yield "opencode", spec.opencode or "looked for on PATH, and where its installers put it"
        yield "port", str(spec.daemon_port or "4096 if it is free there, else any")
        if spec.env:
            yield "variables", f"set: {', '.join(name for name, _ in spec.env)}"
        if spec.unset_env:
            yield "variables", f"unset: {', '.join(spec.unset_env)}"
        for name, is_set in self.forwarded.items():
            yield "variables", f"from this machine: {name}" + ("" if is_set else " (not set here)")

    def to_json(self) -> dict[str, Any]:
        """The whole for scripts."""
        spec = self.settled
        return {
            **describe(spec),
            "description": spec.description,
            "hides": [describe(hidden) for hidden in self.hidden],
            "trusted": self.is_trusted,
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
            "commands": [step.to_json() for step in self.steps()],
        }
