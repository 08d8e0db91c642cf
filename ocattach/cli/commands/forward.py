"""`ocattach forward NAME [LOCAL:]PORT…`: ports of an environment on this machine."""

import os
import re
import sys
from collections.abc import Sequence

import click

from ocattach.cli.command import Command, advice, output_option
from ocattach.cli.output import print_json
from ocattach.cli.person import Person
from ocattach.cli.target import connect_seconds, connection_argument, named_connection
from ocattach.config.spec import ConnectionSpec
from ocattach.daemon.probe import LAST_PORT, is_port
from ocattach.errors import UsageError
from ocattach.link.client.forwards import ForwardedPort
from ocattach.link.client.forwards import forward as forward_ports

HOST_LABEL = re.compile(r"[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?")

EXAMPLES = """
ocattach forward frontend 3000            http://127.0.0.1:3000 is port 3000 there
ocattach forward frontend 8080:3000 5432  port 3000 there as 8080 here, and port 5432
ocattach ports frontend                   what listens there
"""


@click.command(cls=Command, examples=EXAMPLES)
@connection_argument("name", "NAME|URI")
@click.argument("ports", metavar="[LOCAL:]PORT...", nargs=-1, required=True)
@output_option
def forward(name: str, *, ports: tuple[str, ...], output: str) -> None:
    """Forward ports of the environment's loopback (127.0.0.1, ::1) to 127.0.0.1 of this machine, until Ctrl-C.

    Starts no daemon. Other users of this machine can connect to these ports too, as with `ssh -L`.
    """
    wanted = [parse(text) for text in ports]
    check_distinct(wanted)
    spec = named_connection(name)
    person = Person(quiet=output == "json")

    def show(opened: Sequence[ForwardedPort]) -> None:
        person.doing("")
        if output == "json":
            print_json(
                {"name": spec.name, "uri": spec.display(), "forwards": [row(spec, each) for each in opened]}
            )
        for each in opened if output != "json" else ():
            if each.note:
                person.notice(each.note)
            click.echo(" ".join(f"{url:<30}" for url in urls(spec, each)) + f" port {each.port} there")
        sys.stdout.flush()

    person.heading(f"Forwarding to {spec.title()}; Ctrl-C ends it")
    with advice(name), person.waiting("Connecting"):
        forward_ports(spec, wanted, person, os.environ, timeout=connect_seconds(), on_open=show)


def parse(text: str) -> tuple[int | None, int]:
    """Return LOCAL, if it was given, and PORT. Raises UsageError."""
    local, colon, port = text.rpartition(":")
    if (colon and not is_port(local)) or not is_port(port):
        raise UsageError(
            f"{text!r} is not [LOCAL:]PORT, with port numbers from 1 to {LAST_PORT}",
            hint="For example: ocattach forward NAME 3000 8080:3001; without LOCAL it is PORT if that is free",
        )
    return (int(local) if colon else None), int(port)


def check_distinct(wanted: Sequence[tuple[int | None, int]]) -> None:
    """Raise UsageError where one LOCAL is wanted for two ports."""
    locals_ = [local for local, _ in dict.fromkeys(wanted) if local is not None]
    if twice := next((local for local in locals_ if locals_.count(local) > 1), None):
        raise UsageError(
            f"Port {twice} of this machine can lead to one port only",
            hint="Choose another LOCAL for the second",
        )


def urls(spec: ConnectionSpec, forwarded: ForwardedPort) -> list[str]:
    """Return the URLs of a port: by address, and by name, which keeps cookies of environments apart.

    Cookies do not distinguish ports (RFC 6265, 8.5). Names below localhost are loopback (RFC 6761, 6.3).
    """
    name = (spec.name or "").lower()
    hosts = ["127.0.0.1", *([f"{name}.localhost"] if HOST_LABEL.fullmatch(name) else [])]
    return [f"http://{host}:{forwarded.local}" for host in hosts]


def row(spec: ConnectionSpec, forwarded: ForwardedPort) -> dict[str, object]:
    """Return a forwarded port as JSON."""
    return {
        "local": forwarded.local,
        "port": forwarded.port,
        "url": urls(spec, forwarded)[0],
        "urls": urls(spec, forwarded),
        "note": forwarded.note,
    }
