"""The subcommands and actions of the main command, each imported when it is needed."""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import click

COMMANDS = {
    "session": "List, show and continue the sessions of all environments.",
    "exec": "Run a command in an environment.",
    "shell": "Open a shell in an environment.",
    "rename": "Rename a saved connection.",
    "env": "Print variables for a shell, an SDK or another program.",
    "wait": "Wait until a session is idle, waits for you, or has failed.",
    "web": "Open OpenCode's own page in the browser.",
    "events": "Print what agents do as JSON, one event a line.",
    "forward": "Forward ports of an environment to this machine.",
    "ports": "List the ports on which programs listen there.",
    "logs": "Show the logs of the daemon, of OpenCode and of the link.",
    "doctor": "Diagnose a connection, or the setup of this machine.",
    "explain": "Show what connecting would run, and which file defines it.",
    "trust": "Approve what a project defines, or revoke the approval.",
    "completion": "Print a shell completion script.",
}
"""Subcommands with their help: each is a function in the module of the same name."""

ACTIONS = {
    "status": "status",
    "save": "commands.connections",
    "list_": "commands.connections",
    "remove": "commands.connections",
    "default": "commands.connections",
    "disconnect": "commands.connections",
    "stop": "commands.connections",
}
"""Options of the main command that replace attaching: each is a function of its name in the given module."""

GROUPS = {"session"}
"""Commands that have subcommands: packages directly below `ocattach.cli`."""


def load(name: str) -> "click.Command":
    """Import a command of COMMANDS. Called to run it, to complete its options and for the manual page."""
    chosen: click.Command = load_function(name if name in GROUPS else f"commands.{name}", name)
    return chosen


def load_function(module: str, name: str) -> Any:
    """Import a function of a command when it is needed. `module` is relative to `ocattach.cli`."""
    return getattr(import_module(f"ocattach.cli.{module}"), name)
