"""Promises about `ocattach exec` and `ocattach shell`: they are like `docker exec` and `ssh` in every environment."""

import os
import signal
import subprocess
from pathlib import Path

import psutil
import pytest

from tests.contract.test_commands import ARGUMENTS
from tests.environments import Environment
from tests.main_job.laptop import OCATTACH, Laptop
from tests.rigs.terminal import Terminal

SECONDS = 20
MEGABYTE = bytes(range(256)) * 4096
WORDS = [*ARGUMENTS, "$(touch /tmp/escaped)", "a\n", "\n", ";exit 9", "\\0101", "-o", "json", "\x01\x1b"]
VARIABLES = {"GREETING": 'it\'s $(id) `id`\n"two" \\n lines', "EMPTY": ""}


@pytest.fixture(scope="module")
def environment(shared_environment: Environment) -> Environment:
    """One for all: no test leaves anything there."""
    return shared_environment


@pytest.fixture(scope="module")
def laptop(environment: Environment) -> Laptop:
    laptop = Laptop(environment)
    laptop.save(env=VARIABLES)
    return laptop


def run(laptop: Laptop, *words: str, stdin: bytes = b"") -> subprocess.CompletedProcess[bytes]:
    """`ocattach WORDS`, with pipes."""
    return subprocess.run(
        [*OCATTACH, *words],
        input=stdin,
        env=laptop.variables,
        cwd=laptop.cwd,
        capture_output=True,
        timeout=SECONDS,
        check=False,
    )


def test_bytes_arguments_variables_errors_and_exit_code_pass_unchanged(
    environment: Environment, laptop: Laptop
) -> None:
    """All by one command, as a start takes most of the time."""
    places = '"$PWD" "$OCATTACH_ORIGIN" "$GREETING" "${EMPTY-unset}"'
    left = 'ls -a "${TMPDIR:-/tmp}" | grep "^.ocattach"'
    script = f'printf "%s\\0" {places} "$@"; cat; echo err >&2; {left}; exit 7'
    done = run(laptop, "exec", "frontend", "--", "sh", "-c", script, "sh", *WORDS, stdin=MEGABYTE)

    told = [environment.workdir, "frontend", VARIABLES["GREETING"], "", *WORDS]
    before = "".join(f"{text}\0" for text in told).encode()
    assert (7, b"err\n") == (done.returncode, done.stderr)
    assert done.stdout[: len(before)] == before
    assert done.stdout[len(before) :] == MEGABYTE, "and no file of variables is left"


def test_a_terminal_has_its_size_all_keys_and_is_restored(laptop: Laptop, workdir: Path) -> None:
    loop = 'until read line && [ "$line" ]; do :; done; echo "got $line"; kill -9 $$'
    script = f"trap 'echo interrupted' INT; trap 'stty size' WINCH; stty size; {loop}"
    around = 'trap : INT; before=$(stty -g); "$@"; code=$?; [ "$before" = "$(stty -g)" ] && echo restored; exit $code'
    argv = ["sh", "-c", around, "sh", *OCATTACH, "exec", "frontend", "--", "sh", "-c", script]
    with Terminal(
        argv, directory=workdir, environment=laptop.variables, cwd=laptop.cwd, width=90, height=20
    ) as terminal:
        terminal.wait_for("20 90", timeout=SECONDS)
        terminal.resize(101, 31)
        terminal.wait_for("31 101", timeout=SECONDS)
        terminal.send_keys("C-c")
        terminal.wait_for("interrupted", timeout=SECONDS)
        terminal.send_text("a word")
        terminal.send_keys("Enter")

        assert terminal.wait_for_exit(timeout=SECONDS) == 137
        assert "got a word" in terminal.screen()
        assert terminal.screen().endswith("restored")


@pytest.mark.parametrize("shared_environment", ["docker", "ssh", "ssh-paramiko"], indirect=True)
def test_without_a_terminal_stdin_may_be_closed_and_ctrl_c_ends_ocattach(laptop: Laptop) -> None:
    argv = [*OCATTACH, "exec", "frontend", "--", "sh", "-c", "cat; echo ended; sleep 20"]
    with subprocess.Popen(
        ["sh", "-c", 'exec "$@" <&-', "sh", *argv],
        env=laptop.variables,
        cwd=laptop.cwd,
        stdout=subprocess.PIPE,
        start_new_session=True,
    ) as process:
        assert process.stdout
        assert process.stdout.readline() == b"ended\n"
        os.killpg(process.pid, signal.SIGINT)

        assert process.wait(timeout=60) == 130


@pytest.mark.parametrize("shared_environment", ["docker", "ssh"], indirect=True)
def test_a_terminal_is_restored_when_ocattach_or_its_ssh_is_ended(laptop: Laptop, workdir: Path) -> None:
    around = 'before=$(stty -g); "$@"; [ "$before" = "$(stty -g)" ] && echo restored'
    argv = [*OCATTACH, "exec", "frontend", "--", "sh", "-c", "echo runs; sleep 60"]
    with Terminal(
        ["sh", "-c", around, "sh", *argv], directory=workdir, environment=laptop.variables, cwd=laptop.cwd
    ) as terminal:
        terminal.wait_for("runs", timeout=SECONDS)
        (program,) = psutil.Process(terminal.pid).children()
        ssh = [child for child in program.children() if child.name() == "ssh"]
        (ssh[0].kill if ssh else program.terminate)()

        terminal.wait_for("restored", timeout=SECONDS)


def test_a_shell_on_a_terminal_is_interactive(
    environment: Environment, laptop: Laptop, workdir: Path
) -> None:
    with Terminal(
        [*OCATTACH, "shell", "frontend"], directory=workdir, environment=laptop.variables, cwd=laptop.cwd
    ) as terminal:
        terminal.wait_for(lambda screen: screen.rstrip().endswith(("$", "#", "%", ">")), timeout=SECONDS)
        terminal.send_text("tty >/dev/null && echo $OCATTACH_ORIGIN-in-$PWD; exit 5")
        terminal.send_keys("Enter")

        assert terminal.wait_for_exit(timeout=SECONDS) == 5
        assert f"frontend-in-{environment.workdir}" in terminal.screen().replace("\n", "")
