"""`ocattach exec NAME -- COMMAND` and what `ocattach shell` shares with it."""

import os
from collections.abc import Sequence
from typing import Any

import click

from ocattach.cli.command import Command, advice, timeout_option
from ocattach.cli.foreground import run_foreground, terminal_size
from ocattach.cli.options import Options, where_options
from ocattach.cli.person import Person
from ocattach.cli.target import connect_seconds, connection_argument, resolve_target
from ocattach.config.files.paths import state_directory
from ocattach.config.last_used import record_use
from ocattach.link.client.direct import asker
from ocattach.link.client.queries import borrowed_login
from ocattach.transports import open_handler

EXAMPLES = """
ocattach exec frontend -- npm test
ocattach exec frontend -- sh -c 'ls | wc -l'        pipes and variables there need a shell
ocattach exec frontend -- tar c . | tar x           stdin and stdout are passed on byte for byte
ocattach exec ssh://staging -- htop                 on a terminal, as ssh -t
"""


class ExecCommand(Command):
    """A command whose options end where that of the environment begins, with or without `--`."""

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        """Parse ours only: `exec NAME ls -l` is as good as `exec NAME -- ls -l`, as for `docker exec`."""
        end = self._end_of_ours(args)
        return super().parse_args(ctx, args if end is None else [*args[:end], "--", *args[end:]])

    def _end_of_ours(self, args: list[str]) -> int | None:
        """The index of the first word of the command; None if `--` or nothing comes before it."""
        options = [each for each in self.params if isinstance(each, click.Option) and not each.is_flag]
        with_value = {name for each in options for name in each.opts}
        names = 0
        skips = False
        for index, word in enumerate(args):
            if word == "--":
                return None
            is_value, skips = skips, word in with_value and not skips
            if is_value or (word.startswith("-") and word != "-"):
                continue
            if names:
                return index
            names += 1
        return None


@click.command(cls=ExecCommand, examples=EXAMPLES)
@connection_argument("target", "NAME|URI")
@click.argument("words", nargs=-1, required=True, metavar="-- COMMAND...")
@where_options
@timeout_option("Timeout for connecting (default 60).")
def exec(target: str, words: tuple[str, ...], **parameters: Any) -> None:  # noqa: A001 - the command's name
    """Run a command in an environment, as `docker exec`, `ssh` and `kubectl exec` do.

    It starts in the connection's directory, with the variables of its `env`; those of `forward_env` go to daemons only.
    If stdin and stdout are terminals, it gets a terminal too, and all keys; otherwise pipes. No daemon is needed, and
    none is started. The exit code is the command's, 128 + N if signal N ended it; before it runs, that of the error.
    """
    run_there(words, target, parameters)


def run_there(words: Sequence[str] | None, target: str, parameters: dict[str, Any]) -> None:
    """Run a command, or with None the account's shell, and exit with its code."""
    options = Options(targets=(target,), **parameters)
    spec = resolve_target(options)
    timeout = options.timeout or connect_seconds()
    size, person = terminal_size(), Person()
    with (
        advice(target),
        borrowed_login(spec.link_key(os.environ), os.environ) as login,
        open_handler(spec, ask=asker(person), timeout=timeout) as handler,
    ):
        handler.login = login
        with person.waiting(f"Connecting to {spec.title()}"):
            command = handler.start_command(words, size=size)
        if spec.name:
            record_use(spec.name, state_directory(os.environ))
        code = run_foreground(command, has_terminal=size is not None)
    raise SystemExit(code)
