"""The help of the main command: short for `ocattach --help`, with all options for `ocattach help attach`."""

from collections.abc import Mapping, Sequence

import click

from ocattach.cli.command import Command
from ocattach.cli.options import WHERE
from ocattach.cli.verbs import ATTACH_OPTIONS, VERBS, Invocation
from ocattach.printable import command_line

EXAMPLES = """
ocattach --save frontend docker://frontend-app --workdir /app
ocattach frontend                    start the daemon if needed, open the TUI
ocattach ssh://staging:/var/www/app  connect without saving
ocattach                             the default, or choose from a list
ocattach --status                    all environments, and what waits for you
"""

SECTIONS = {
    "Attach": ATTACH_OPTIONS,
    "Connections": (
        "save",
        "list_",
        "status",
        "watch",
        "short",
        "remove",
        "default",
        "disconnect",
        "stop",
        "all_",
        "force",
    ),
    "Where": WHERE,
    "Output": ("output", "verbose", "quiet", "schema", "version"),
}

MORE = (
    "All options: ocattach help attach. list, status, save, remove (rm), stop and disconnect may also be given"
    " as options, such as --list."
)


OUTPUT = "-o, --output [table|json]"
"""For the verbs that have no other formats."""


class MainCommand(Command):
    """The main command. Its help lists the commands; that of a verb, the verb's options."""

    def __init__(self, *args: object, commands: Mapping[str, str], **settings: object) -> None:
        """`commands` are the subcommands with their help."""
        super().__init__(*args, **settings)  # type: ignore[arg-type]  # those of a command
        self._commands = commands

    def format_help(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Write the help of the verb, else of the whole program."""
        verb = ctx.obj.verb if isinstance(ctx.obj, Invocation) else None
        if verb is None:
            super().format_help(ctx, formatter)
            return
        formatter.write_text(VERBS[verb].help)
        self.write_examples(formatter, VERBS[verb].examples.strip("\n").splitlines())
        formatter.write_usage(command_line("ocattach", verb), f"[OPTIONS] {VERBS[verb].arguments}".rstrip())
        for title, names in self._sections(verb).items():
            self._write_options(ctx, formatter, title, names, verb)

    def _sections(self, verb: str) -> Mapping[str, Sequence[str]]:
        """The options that a verb takes; with `attach`, all there are."""
        if verb == "attach":
            return SECTIONS
        taken = VERBS[verb].options
        return {
            "Options": [name for name in taken if name not in WHERE],
            "Where": [name for name in taken if name in WHERE],
            "Output": ("output", "verbose", "quiet"),
        }

    def format_usage(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Write the two forms of a command line."""
        super().format_usage(ctx, formatter)
        formatter.write_usage("ocattach", "COMMAND ...", prefix="       ")

    def format_options(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:  # noqa: ARG002 - click's
        """Write the verbs and the subcommands."""
        verbs = {name: verb.help for name, verb in VERBS.items()}
        with formatter.section("Commands (ocattach help COMMAND)"):
            formatter.write_dl(list({**verbs, **self._commands}.items()))
        formatter.write_paragraph()
        formatter.write_text(MORE)

    def _write_options(
        self, ctx: click.Context, formatter: click.HelpFormatter, title: str, names: Sequence[str], verb: str
    ) -> None:
        helps = {} if verb == "attach" else VERBS[verb].helps
        records = {parameter.name: parameter.get_help_record(ctx) for parameter in self.get_params(ctx)}
        rows = [(record[0], helps.get(name, record[1])) for name in names if (record := records.get(name))]
        if verb not in {"attach", "list", "status"}:
            rows = [(OUTPUT, "Output format.") if row[0].startswith("-o,") else row for row in rows]
        if rows:
            with formatter.section(title):
                formatter.write_dl(rows)
