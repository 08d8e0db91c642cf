"""Why ssh could not log in, from its exit and its messages, which are not translated."""

import re
from collections.abc import Callable, Mapping
from typing import NamedTuple

from ocattach.config.targets.ssh import SSHTarget
from ocattach.errors import (
    AuthenticationError,
    ConfigurationError,
    HostKeyError,
    OcattachError,
    TimedOutError,
    UnreachableError,
)
from ocattach.printable import command_line
from ocattach.transports.base import Ask, NoPerson
from ocattach.transports.ssh.openssh.login import Login, is_visible
from ocattach.transports.ssh.openssh.settings import Settings

SHOWN_LINES = 4
"""Lines of ssh's own words in an error of unknown cause."""

TYPED = {"password", "keyboard-interactive"}
"""Ways to log in that need a person; ssh does not try them with BatchMode."""

LOCKED = re.compile(r"Enter passphrase for key '(.+)'")
ADDED = "Warning: Permanently added "
HUNG_UP = re.compile(
    r"(kex_exchange_identification|banner exchange|read): .*|Connection (closed|reset) by .*"
    r"|ssh_dispatch_run_fatal: .*: (Broken pipe|Connection reset by peer|Connection closed by remote host)"
)
"""What ssh prints when a server closes the connection, as a busy one does (MaxStartups, sshd_config(5))."""


class Failure(NamedTuple):
    """A run of ssh that did not log in."""

    target: SSHTarget
    settings: Settings
    jumps: Mapping[str, str]
    """The jump hosts as the user wrote them, by their names or addresses."""

    login: Login
    ask: Ask
    timeout: float

    @property
    def host(self) -> str:
        """The host as the user wrote it, with its address where that is another."""
        host, hostname = self.target.host, self.settings.hostname
        return host if host == hostname else f"{host} ({hostname})"

    @property
    def try_it(self) -> str:
        """The hint to run ssh by hand."""
        return f"Try: {command_line('ssh', self.target.host)}"

    @property
    def words(self) -> str:
        """The last lines of what ssh printed."""
        lines = [line.strip() for line in self.login.said.splitlines() if line.strip()]
        return "; ".join(lines[-SHOWN_LINES:]) or f"exit code {self.login.code}"

    def find(self, pattern: str) -> re.Match[str] | None:
        """Search ssh's messages."""
        return re.search(pattern, self.login.said, re.MULTILINE)

    def jump_named(self, address: str) -> str:
        """For an error: the jump host of that address, where it is one; else nothing."""
        jump = self.jumps.get(address)
        return f"jump host {jump}: " if jump and address != self.settings.hostname else ""

    @property
    def is_hung_up(self) -> bool:
        """Whether the server closed the connection before the login; another try may be served.

        It may also have waited too long for a person who looked at its key, which is known now.
        """
        lines = [line for line in self.login.said.splitlines() if line.strip() and not line.startswith(ADDED)]
        only_key = all(map(is_visible, self.login.asked))
        return bool(lines) and only_key and all(map(HUNG_UP.match, lines))

    def error(self) -> OcattachError:
        """Return the error for the failed login."""
        if self.login.unanswered is not None:
            return self.login.unanswered
        for pattern, explain in EXPLANATIONS:
            if (found := self.find(pattern)) and (error := explain(self, found)):
                return error
        if self.login.code is None:
            return timed_out(self)
        return UnreachableError(f"Cannot connect to {self.host}: {self.words}", hint=self.try_it)


def timed_out(failure: Failure, _: re.Match[str] | None = None) -> TimedOutError:
    """Return the error for a host that did not answer in time."""
    said = f" (ssh: {failure.words})" if failure.login.said else ""
    return TimedOutError(
        f"{failure.host} did not answer in {failure.timeout:.0f} s{said}", hint=failure.try_it
    )


def changed_key(failure: Failure, _: re.Match[str]) -> OcattachError:
    """Return the error for a host with another key than the known one."""
    shown = failure.find(r"^(SHA256:[\w+/=]+)\.?$")
    kind = failure.find(r"fingerprint for the (\S+) key")
    known = failure.find(r"^Offending \S+ key in (.+):(\d+)$")
    remedy = failure.find(r'ssh-keygen -?f "(.+)" -R "(.+)"')
    key = " ".join(found[1] for found in (kind, shown) if found)
    place = f" Known is another one: {known[1]}, line {known[2]}" if known else ""
    command = command_line("ssh-keygen", "-f", remedy[1], "-R", remedy[2]) if remedy else ""
    named = failure.jump_named(remedy[2]) if remedy else ""
    return HostKeyError(
        f"{named}The host key of {failure.host} has changed to {key}: refused.{place}",
        hint=f"If the change is expected: {command}, and connect again" if command else failure.try_it,
    )


def revoked_key(failure: Failure, found: re.Match[str]) -> OcattachError:
    """Return the error for a revoked host key."""
    place = f" ({found[1]}, {found[2]})" if found[1] else ""
    return HostKeyError(
        f"The host key of {failure.host} is revoked{place}: refused",
        hint="Contact the host's administrator: a revoked key may be in the wrong hands",
    )


def unknown_key(failure: Failure, _: re.Match[str]) -> OcattachError:
    """Return the error for a host whose key is not known, or was not accepted."""
    strict = failure.find(r"No \S+ host key is known for (\S+) and you have requested strict checking")
    if strict and failure.settings["stricthostkeychecking"].lower() in {"yes", "true"}:
        return HostKeyError(
            f"{failure.jump_named(strict[1])}The host key of {failure.host} is not known "
            "and StrictHostKeyChecking is yes: refused",
            hint="Add the key to your known_hosts once you have verified it",
        )
    if failure.login.asked:
        return HostKeyError(
            f"The host key of {failure.host} was not accepted",
            hint="Ask who runs the host for the fingerprint of its key, and connect again",
        )
    return HostKeyError(
        f"The host key of {failure.host} is not known yet",
        hint=f"Connect once, which shows it and asks: {command_line('ssh', failure.target.host)}",
    )


def denied(failure: Failure, found: re.Match[str]) -> OcattachError:
    """Return the error for a login that the host does not accept."""
    locked = next(filter(None, map(LOCKED.match, failure.login.asked)), None)
    if locked:
        return AuthenticationError(
            f"{failure.host} did not accept the login, and the key {locked[1]} was not opened: it needs its passphrase",
            hint=f"Give it to an agent once: {command_line('ssh-add', locked[1])}",
        )
    named = failure.jump_named(found[2]) if found[2] else ""
    user = found[1] or failure.settings["user"]
    methods = found[3].split(",")
    who, accepts = named or f"{failure.host} ", f"(it accepts: {', '.join(methods)})"
    if isinstance(failure.ask, NoPerson) and not TYPED.isdisjoint(methods):
        return failure.ask.error(f"{who}asks {user} for a password or code {accepts}")
    return AuthenticationError(f"{who}did not accept {user} {accepts}", hint=failure.try_it)


def ended_login(failure: Failure, _: re.Match[str]) -> OcattachError | None:
    """Return the error for a host that ended the connection after a question."""
    if not failure.login.asked:
        return None
    return AuthenticationError(
        f"{failure.host} ended the login: {failure.words}",
        hint="A host waits only so long for an answer (its LoginGraceTime), and allows only so many: try again",
    )


def beyond_jump(failure: Failure, found: re.Match[str]) -> OcattachError | None:
    """Return the error for a host that the last jump host cannot reach."""
    jump, port = failure.settings["proxyjump"], failure.settings["port"]
    if not (jump and failure.find("stdio forwarding failed")):
        return None
    return UnreachableError(
        f"The jump host {jump} cannot connect to {failure.host}, port {port}: {found[1]}",
        hint=failure.try_it,
    )


EXPLANATIONS: tuple[tuple[str, Callable[[Failure, re.Match[str]], OcattachError | None]], ...] = (
    ("REMOTE HOST IDENTIFICATION HAS CHANGED", changed_key),
    (
        r"^Error checking host key .* in revoked keys file .+: .*$",
        lambda _, found: HostKeyError(
            f"The revoked host keys cannot be read, so no host is trusted: {found[0]}"
        ),
    ),
    (
        r"^Host key \S+ (\S+) revoked by file (.+)$|REVOKED HOST KEY DETECTED|is marked as revoked",
        revoked_key,
    ),
    ("Host key verification failed", unknown_key),
    (
        "Too many authentication failures",
        lambda failure, _: AuthenticationError(
            f"{failure.host} ended the login: too many authentication failures",
            hint="Too many keys may have been offered: name the right one by --identity, or see IdentitiesOnly",
        ),
    ),
    (r"^(?:(\S+)@(\S+): )?Permission denied \((.*)\)\.?$", denied),
    (r"^(Connection (closed|reset) by|Received disconnect from)", ended_login),
    (
        r"(jumphost loop via|Bad configuration option|Bad owner or permissions on).*",
        lambda failure, _: ConfigurationError(f"ssh: {failure.words}", hint=failure.try_it),
    ),
    (
        r"Could not resolve hostname (\S+): (.+)$",
        lambda failure, found: UnreachableError(
            f"{failure.jump_named(found[1])}No host named {found[1]}: {found[2]}", hint=failure.try_it
        ),
    ),
    (r"^channel \d+: open failed: (?:\S+ )?(.+)$", beyond_jump),
    (
        r"^Connection to \S+ port \d+ timed out$|: (Connection|Operation) timed out$|timed out during banner exchange",
        timed_out,
    ),
    (
        r"^ssh: connect to host (\S+) port (\d+): (.+)$",
        lambda failure, found: UnreachableError(
            f"Cannot connect to {failure.jump_named(found[1])}{failure.host}, port {found[2]}: {found[3]}",
            hint=failure.try_it,
        ),
    ),
)
"""What ssh prints for each cause, in the order of precedence, and what makes its error."""
