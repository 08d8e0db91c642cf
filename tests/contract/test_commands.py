"""Promises about running a command in an environment."""

import time
from collections.abc import Iterator
from contextlib import suppress

import psutil
import pytest

from ocattach.config.targets.registry import SCHEMES
from ocattach.errors import TimedOutError, TooMuchOutputError
from tests.environments import ENVIRONMENTS, Environment

MEGABYTE = 1024 * 1024
ARGUMENTS = ["a b", "", "'", '"', "$HOME", "*", "é", "-n", "\\", "!", "a\nb", "`id`", "%s", "~", "#", "\x7f"]


@pytest.fixture
def environment(shared_environment: Environment) -> Iterator[Environment]:
    """One for all; a command that was given up may go on there, and ends with its test."""
    yield shared_environment
    for process in shared_environment.processes():
        with suppress(psutil.NoSuchProcess):
            process.kill()


def test_every_transport_is_under_contract() -> None:
    assert set(SCHEMES) <= {name.partition("-")[0] for name in ENVIRONMENTS}


def test_exit_code_stdout_and_stderr_come_apart(environment: Environment) -> None:
    with environment.handler() as handler:
        result = handler.run(["sh", "-c", "echo out; echo err >&2; exit 3"], timeout=60)

        assert (3, b"out\n", b"err\n") == (result.exit_code, result.stdout, result.stderr)


def test_each_argument_arrives_as_it_is(environment: Environment) -> None:
    with environment.handler() as handler:
        script = r'for word; do printf "%s\0" "$word"; done'
        result = handler.run(["sh", "-c", script, "sh", *ARGUMENTS], timeout=60)

        assert ARGUMENTS == result.stdout.decode().split("\0")[:-1]


def test_a_command_that_does_not_exist_gives_127(environment: Environment) -> None:
    with environment.handler() as handler:
        assert handler.run(["no-such-command-anywhere"], timeout=60).exit_code == 127


def test_input_arrives_whole_and_ends(environment: Environment) -> None:
    data = bytes(range(256)) * (4 * MEGABYTE // 256)
    with environment.handler() as handler:
        assert data == handler.run(["cat"], stdin=data, timeout=30).stdout


@pytest.mark.parametrize("stream", [1, 2])
def test_megabytes_on_either_stream_do_not_block(environment: Environment, stream: int) -> None:
    script = f"head -c {4 * MEGABYTE} /dev/zero >&{stream}; echo done"
    with environment.handler() as handler:
        result = handler.run(["sh", "-c", script], timeout=30)

        assert 4 * MEGABYTE + len("done\n") == len(result.stdout) + len(result.stderr)


@pytest.mark.parametrize("stream", [1, 2])
def test_a_command_that_prints_without_end_is_given_up(environment: Environment, stream: int) -> None:
    with environment.handler() as handler:
        with pytest.raises(TooMuchOutputError, match="printed more than 8 MiB"):
            handler.run(["sh", "-c", f"exec cat /dev/zero >&{stream}"], timeout=60)

        assert handler.run(["echo", "well"], timeout=60).stdout == b"well\n"


def test_a_command_that_takes_too_long_is_said_to(environment: Environment) -> None:
    with environment.handler() as handler:
        started = time.monotonic()
        with pytest.raises(TimedOutError):
            handler.run(["sleep", "60"], timeout=1)

        assert time.monotonic() - started < 30


def test_the_handler_works_on_after_a_timeout(environment: Environment) -> None:
    with environment.handler() as handler:
        with pytest.raises(TimedOutError):
            handler.run(["sleep", "60"], timeout=0.5)

        assert handler.run(["echo", "well"], timeout=60).stdout == b"well\n"
