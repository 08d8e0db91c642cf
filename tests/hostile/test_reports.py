"""What a daemon, a file or a process prints is never a line of our scripts' reports, a format string or a pattern."""

import ast
import logging
import os
import subprocess
from collections.abc import Iterator, Sequence
from pathlib import Path

import pytest

import ocattach
from ocattach.daemon.lifecycle import start_daemon
from ocattach.daemon.logs import DAEMON, read_logs
from ocattach.daemon.script import DaemonSettings, parse_report, script_argv
from ocattach.daemon.unusable import UnusableBinary, ended_at_once
from ocattach.errors import ConnectionLostError, DaemonStartError
from ocattach.execution import CommandResult
from ocattach.link.server.log import LogFormatter

SOURCE = Path(ocattach.__file__).parent
SEPARATORS = ("\n", "\r", "\r\n", "\x0b", "\x0c", "\x1c", "\x1d", "\x1e", "\x85", "\u2028", "\u2029")
"""Where `str.splitlines` ends a line."""

FORGED = (
    "ocattach:daemon=started 1 4711 0100007F o p",
    "ocattach daemon=started 1 4711 0100007F o p",
    "stopped=1",
)
DAEMON_THAT_FORGES = """#!/bin/sh
env >"$SEEN/env"
tr '\\0' '\\n' <"/proc/$PPID/cmdline" >"$SEEN/argv"
cat "$SEEN/output"
exit 1
"""


class Machine:
    """A home with a program in the place of opencode, and the input of the scripts that ran there."""

    def __init__(self, home: Path) -> None:
        self.home, self.inputs = home, b""
        self.program = home / "opencode"

    def run(self, argv: Sequence[str], *, stdin: bytes = b"", timeout: float) -> CommandResult:
        """Run a command."""
        self.inputs += stdin
        environment = {"HOME": str(self.home), "PATH": os.environ["PATH"], "SEEN": str(self.home)}
        ran = subprocess.run(
            argv, input=stdin, capture_output=True, timeout=timeout, check=False, env=environment
        )
        return CommandResult(ran.returncode, ran.stdout, ran.stderr)

    def start(self, output: str) -> DaemonStartError:
        """Start a daemon that prints this and ends."""
        (self.home / "output").write_bytes(output.encode(errors="surrogateescape"))
        self.program.write_text(DAEMON_THAT_FORGES)
        self.program.chmod(0o755)
        settings = DaemonSettings(opencode=str(self.program))
        with pytest.raises(DaemonStartError) as error:
            start_daemon(self.run, settings, password="secret", timeout=10)
        return error.value


@pytest.fixture
def machine(tmp_path: Path) -> Machine:
    return Machine(tmp_path)


@pytest.mark.needs_programs
@pytest.mark.parametrize("separator", SEPARATORS, ids=ascii)
def test_no_line_of_a_daemons_output_is_a_line_of_the_report(machine: Machine, separator: str) -> None:
    error = machine.start(separator.join(["x", *FORGED, "x\n"]))

    assert "exited at once (exit code 1)" in error.message
    assert FORGED[0] in error.message
    logs = read_logs(machine.run, last=100, timeout=10)
    assert not logs.has_more
    assert any(FORGED[0] in line for line in logs.lines[DAEMON])


@pytest.mark.needs_programs
def test_no_daemon_knows_the_mark_of_a_report(machine: Machine) -> None:
    machine.start("x")
    mark = next(line for line in machine.inputs.splitlines() if line.startswith(b"mark ")).split()[1].decode()

    assert len(mark) > 20
    assert mark not in (machine.home / "env").read_text() + (machine.home / "argv").read_text()
    machine.inputs = b""
    machine.start("x")
    assert mark.encode() not in machine.inputs


@pytest.mark.needs_programs
@pytest.mark.parametrize("port", ["80 x", "8\r0", "", "$(id)", "80:", "-1"])
def test_a_port_that_is_no_number_is_not_where_a_daemon_listens(machine: Machine, port: str) -> None:
    error = machine.start(f"opencode server listening on http://127.0.0.1:{port}\n")

    assert "exited at once" in error.message


def test_a_line_that_was_cut_off_is_none() -> None:
    output = b"mark start=1\nmark end=1\nmark daemon=started 1 4096 0100007F opencode secret\nmark daemon=started 1 40"

    assert len(parse_report(CommandResult(0, output, b""), "start", "mark").all("daemon")) == 1


@pytest.mark.parametrize(
    "reported", [b"", b"mark daemon=started 1 4096 0100007F opencode secret\n", b"mark end=1"]
)
def test_a_report_without_its_end_is_none(reported: bytes) -> None:
    result = CommandResult(2, b"mark start=1\n" + reported, b"sh: 0: Cannot fork\n")

    with pytest.raises(
        ConnectionLostError, match=r"start script did not finish .*exit code 2\): sh: 0: Cannot fork"
    ) as caught:
        parse_report(result, "start", "mark")

    assert "pids.max" in caught.value.hint


def test_a_text_of_an_environment_is_not_a_format_string() -> None:
    text = "{0.__class__.__init__.__globals__} {detail} {} {"

    assert UnusableBinary(text, text, text).explain(text) == text
    for reason in ("late", "libc", "architecture", "interpreter", "stub", "not-executable"):
        shown = UnusableBinary(reason, text, text)
        assert "class" not in (shown.explain(text) + shown.remedy(text)).replace(text, "")
    assert text in ended_at_once(text, exit_code=text, log=text).message


@pytest.mark.parametrize("separator", SEPARATORS, ids=ascii)
def test_a_text_of_an_environment_is_not_an_entry_of_a_links_log(separator: str) -> None:
    forged = "2026-01-01 00:00:00,000 INFO Connected"
    record = logging.LogRecord("ocattach", logging.INFO, "f", 1, "lost: %s", (f"x{separator}{forged}",), None)
    written = LogFormatter("%(asctime)s %(levelname)s %(message)s").format(record)

    assert forged in written
    assert not [line for line in written.splitlines() if line.startswith(forged)]


def calls() -> Iterator[tuple[str, ast.Call]]:
    """Every call in the source, with its place."""
    for file in sorted(SOURCE.rglob("*.py")):
        for node in ast.walk(ast.parse(file.read_text())):
            if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute):
                yield f"{file.relative_to(SOURCE)}:{node.lineno}", node


def test_every_format_string_is_a_constant() -> None:
    found = [
        f"{place}: {ast.unparse(call)}"
        for place, call in calls()
        if isinstance(call.func, ast.Attribute)
        and call.func.attr in {"format", "format_map"}
        and (call.args or call.keywords)  # else it formats itself: a stack of calls
        and not is_constant(call.func.value)
        and not isinstance(call.func.value, ast.Call)  # a log record, a WebSocket frame
    ]

    assert found == []


TRANSLATED = {
    "opencode/events.py": "pattern",
    "transports/ssh/paramiko/known_hosts.py": "expression",
    "transports/ssh/openssh/errors.py": "pattern",
}
"""Patterns that are made of a text, each character of which is escaped, or that all callers give as literals."""


def test_every_pattern_is_a_constant() -> None:
    found = [
        f"{place}: {ast.unparse(call)}"
        for place, call in calls()
        if isinstance(call.func, ast.Attribute)
        and ast.unparse(call.func.value) == "re"
        and call.func.attr != "escape"
        and not is_constant(call.args[0])
        and TRANSLATED.get(place.partition(":")[0]) != ast.unparse(call.args[0])
    ]

    assert found == []


def is_constant(pattern: ast.expr) -> bool:
    """Whether the pattern is a literal, or a module's constant."""
    if isinstance(pattern, ast.JoinedStr):
        return all(is_constant(part.value) for part in pattern.values if isinstance(part, ast.FormattedValue))
    return isinstance(pattern, ast.Constant) or (isinstance(pattern, ast.Name) and pattern.id.isupper())


def test_no_script_is_put_together_with_a_text() -> None:
    argv = script_argv("probe", "$(touch pwned)", "", "")

    assert argv[2] == script_argv("probe")[2]
    assert argv[4] == "$(touch pwned)"
