"""Write the manual page from what `--help` knows: `make man`.

It is read by man (man(7) of groff and of mandoc), and is in the wheel as share/man/man1/ocattach.1. What click prints
differs by its version, and so nothing of it is taken: the page comes from the commands themselves.
"""

import sys
from collections.abc import Iterator, Mapping

import click

from ocattach import __version__, errors
from ocattach.cli.command import Command
from ocattach.cli.main import command
from ocattach.cli.main_help import SECTIONS
from ocattach.cli.registry import COMMANDS, load
from ocattach.cli.verbs import VERBS

SUMMARY = "named connections from the OpenCode TUI to containers, hosts and clusters"

DESCRIPTION = """\
finds or starts `opencode serve` in a container, on a host or in a pod, opens a tunnel to it, and becomes the TUI of \
OpenCode on this terminal. Daemon and link stay when the TUI is left; the link ends ten minutes after its last client.
Steps and messages go to standard error, data to standard output; with -o json that is one JSON document, errors too.
An environment is named by a connection that was saved, by one that the project defines in opencode.json or \
.opencode/ocattach.json, or by a URI: docker://NAME:/DIR, podman://NAME:/DIR, ssh://USER@HOST:PORT/DIR, \
k8s://POD:/DIR, k8s://deployment/NAME, http://HOST:PORT, https://HOST, local:///DIR."""

FAILED = "It failed in the environment, or unexpectedly."

VARIABLES = {
    "OCATTACH_CONFIG_DIR": "Directory of saved connections and settings.",
    "OCATTACH_STATE_DIR": "Directory of what was approved, and of the links' logs.",
    "OCATTACH_RUNTIME_DIR": "Directory of the links' sockets; nobody else may enter it.",
    "OCATTACH_TRUST": "Hashes (sha256:…) of project definitions that may be used, for CI.",
    "NO_COLOR": "No colours, if set.",
}

FILES = {
    "~/.config/ocattach/connections/NAME.yaml": "A saved connection.",
    "~/.config/ocattach/config.yaml": "Settings.",
    "opencode.json, .opencode/ocattach.json": "Connections of the project, under the key environments.",
    "~/.local/state/ocattach": "What was approved, and logs.",
}


def roff(text: str) -> str:
    """Text as it stands, for roff: no escape begins, no hyphen is one, no line is a request."""
    plain = (
        text.replace("\\", "\\e")
        .replace("-", "\\-")
        .replace("~", "\\(ti")
        .replace("^", "\\(ha")
        .replace("`", "\\(ga")
    )
    return "\n".join(f"\\&{line}" if line.startswith((".", "'")) else line for line in plain.splitlines())


def items(rows: Mapping[str, str]) -> Iterator[str]:
    """A list of terms with what they mean."""
    for term, meaning in rows.items():
        yield f".TP\n\\fB{roff(term)}\\fR\n{roff(meaning)}"


def options(chosen: click.Command, *names: str) -> dict[str, str]:
    """The options of a command, those named or all: how each is written, and what it does."""
    found = {each.name: each for each in chosen.params if isinstance(each, click.Option)}
    return {spelled(found[name]): found[name].help or "" for name in names or found}


def spelled(option: click.Option) -> str:
    """An option as it is typed, the short form first."""
    forms = ", ".join(sorted(option.opts, key=len))
    if option.is_flag:
        return forms
    choices = "|".join(map(str, option.type.choices)) if isinstance(option.type, click.Choice) else ""
    return f"{forms} {option.metavar or choices}"


def usage(name: str, chosen: click.Command) -> str:
    """A command line in general."""
    arguments = [each for each in chosen.params if isinstance(each, click.Argument)]
    told = [each.metavar or "|".join(getattr(each.type, "choices", [])) for each in arguments]
    return " ".join([f"\\fB{roff(name)}\\fR", "[OPTIONS]", *map(roff, told)])


def examples(chosen: click.Command) -> str:
    """Examples as they stand in the help."""
    lines = chosen.examples if isinstance(chosen, Command) else []
    return "\n".join([".nf", *map(roff, lines), ".fi"]) if lines else ""


def commands(name: str, chosen: click.Command) -> Iterator[tuple[str, click.Command]]:
    """A command, or all of a group's."""
    if not isinstance(chosen, click.Group):
        yield name, chosen
        return
    with click.Context(chosen) as context:
        for inner in chosen.list_commands(context):
            found = chosen.get_command(context, inner)
            if found is not None:
                yield from commands(f"{name} {inner}", found)


def exit_codes() -> dict[str, str]:
    """What each exit code means, by the first error that has it."""
    told = {"0": "It worked; with the TUI, the TUI's own code."}
    for error in vars(errors).values():
        if isinstance(error, type) and issubclass(error, errors.OcattachError) and "exit_code" in vars(error):
            told[str(error.exit_code)] = FAILED if error is errors.OcattachError else error.__doc__ or ""
    return told


def page() -> Iterator[str]:
    """The page, part by part."""
    yield f'.TH OCATTACH 1 "" "ocattach {__version__}" "User Commands"'
    yield f".SH NAME\nocattach \\- {roff(SUMMARY)}"
    yield f".SH SYNOPSIS\n{usage('ocattach', command)}\n.br\n\\fBocattach\\fR COMMAND ..."
    yield ".SH DESCRIPTION\n.B ocattach\n" + "\n.PP\n".join(map(roff, DESCRIPTION.splitlines()))
    yield f".SH EXAMPLES\n{examples(command)}"
    yield ".SH OPTIONS"
    for title, names in SECTIONS.items():
        yield f".SS {title}"
        yield from items(options(command, *names))
    yield from items({"-h, --help": "Show the help, of a command by ocattach COMMAND --help, and exit."})
    yield ".SH COMMANDS"
    for verb, meaning in VERBS.items():
        yield f".SS ocattach {verb}\n\\fBocattach {verb}\\fR {roff(meaning.arguments)}\n.PP\n{roff(meaning.help)}"
        if verb != "attach":
            yield f"The same as the option \\-\\-{verb}."
    for first in COMMANDS:
        for name, chosen in commands(first, load(first)):
            yield f".SS ocattach {roff(name)}"
            yield "\n.PP\n".join(
                [usage(f"ocattach {name}", chosen), roff(chosen.help or ""), examples(chosen)]
            )
            yield from items(options(chosen))
            for title, values in chosen.values.items() if isinstance(chosen, Command) else ():
                yield f".PP\n{title}:"
                yield from items(values)
    for title, rows in (("EXIT STATUS", exit_codes()), ("ENVIRONMENT", VARIABLES), ("FILES", FILES)):
        yield f".SH {title}"
        yield from items(rows)


if __name__ == "__main__":
    sys.stdout.write("\n".join(page()) + "\n")
