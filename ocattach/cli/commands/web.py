"""`ocattach web NAME`: OpenCode's own page in the browser."""

import os
from http import HTTPStatus
from urllib.parse import urlsplit

import click

from ocattach.cli.browser_program import opened, why_none
from ocattach.cli.command import Command, advice, output_option
from ocattach.cli.output import print_json, report
from ocattach.cli.person import Person
from ocattach.cli.target import as_used, connection_argument
from ocattach.cli.terminal import say
from ocattach.config.files.paths import config_directory
from ocattach.config.resolver import resolve
from ocattach.config.settings import load_settings
from ocattach.config.spec import ConnectionSpec
from ocattach.config.variables import working_directory
from ocattach.errors import OcattachError, TimedOutError, UsageError
from ocattach.link.client.access import client_at
from ocattach.link.client.browsers import LINK_SECONDS, BrowserLogin, await_login, log_out, new_login
from ocattach.link.client.foreground import Attachment, attach
from ocattach.opencode.web_page import new_session_path
from ocattach.printable import command_line

EXAMPLES = """
ocattach web frontend            open it in the browser, without a password
ocattach web frontend --print    print a link for another browser: valid once, for 60 s
ocattach web frontend --revoke   log all browsers out
"""


@click.command(cls=Command, examples=EXAMPLES)
@connection_argument("name", "NAME|URI")
@click.option("--print", "print_", is_flag=True, help="Print a one-time link instead of opening it.")
@click.option("--revoke", is_flag=True, help="Log out all browsers, and end what they read.")
@output_option
def web(name: str, *, print_: bool, revoke: bool, output: str) -> None:
    """Open OpenCode's own page in the browser, through the link. Starts a daemon if none runs.

    A browser stays logged in for 7 days, unless it is closed before. Its cookie opens this environment only.
    """
    if print_ and revoke:
        raise UsageError("--print and --revoke cannot be used together")
    spec = as_used(resolve(name, cwd=working_directory(), environ=os.environ))
    if not spec.target.needs_link:
        raise UsageError(f"{spec.title()} has no link", hint=f"Open its URL: {spec.display()}")
    if revoke:
        log_out(spec.link_key(os.environ), os.environ)
        report(f"Logged out all browsers of {name}", {"revoked": name}, output=output)
        return
    by_hand = command_line("ocattach", "web", name, "--print")
    reason = "" if print_ else why_none(os.environ)
    if reason:
        raise OcattachError(
            f"No browser can be opened here: {reason}", hint=f"Print a link instead: {by_hand}"
        )
    with advice(name):
        show(spec, print_=print_, output=output, by_hand=by_hand)


def show(spec: ConnectionSpec, *, print_: bool, output: str, by_hand: str) -> None:
    """Connect, and open the page in the browser or print a link to it."""
    person = Person(quiet=output == "json")
    person.heading(f"Connecting to {spec.title()}")
    timeout = load_settings(config_directory(os.environ)).connect_timeout_seconds
    with person.waiting("Connecting"):
        attachment = attach(spec, person, os.environ, start=True, timeout=timeout)
        check_page(attachment)
    login = new_login(spec, person, os.environ, path=new_session_path(attachment.workdir))
    if print_:
        print_link(login, output)
        return
    with opened(login.login), person.waiting("Waiting for the browser to open the page"):
        has_opened = await_login(spec, login, person, os.environ)
    if not has_opened:
        raise TimedOutError(
            f"No browser opened the page within {LINK_SECONDS} s", hint=f"Print a link: {by_hand}"
        )
    person.step("Opened the page in the browser")
    if output == "json":
        print_json({"url": login.url, "opened": True})


def print_link(login: BrowserLogin, output: str) -> None:
    """Print a one-time link, and how it is used over ssh."""
    if output == "json":
        print_json({"url": login.url, "login": login.login, "seconds": LINK_SECONDS})
        return
    click.echo(login.login)
    say(f"Valid once, for {LINK_SECONDS} s")
    if "SSH_CONNECTION" in os.environ:
        port = urlsplit(login.url).port
        forward = command_line("ssh", "-L", f"{port}:127.0.0.1:{port}", "HOST")
        say(f"For a browser on another machine, forward the port from there first: {forward}")


def check_page(attachment: Attachment) -> None:
    """Raise OcattachError unless the daemon has its page: before 1.14 it was loaded from app.opencode.ai."""
    answer = client_at(attachment.url, attachment.username, attachment.password).request("GET", "/")
    if not (answer.status == HTTPStatus.OK and answer.content_type.startswith("text/html")):
        raise OcattachError(
            f"OpenCode {attachment.version} cannot show its page (HTTP {answer.status})",
            hint="Update OpenCode there, or give it a network: old versions load the page from app.opencode.ai",
        )
