"""Keys come at once and by name, and the terminal is afterwards as it was."""

import os
import pty
import signal
import subprocess
import sys
import termios
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from ocattach.cli.keys import SEQUENCES, Keyboard
from tests.rigs.waiting import wait_until

LONG = 20.0


@dataclass
class Pair:
    """A terminal without a program behind it: what is typed on one side is read on the other."""

    typing: int
    reading: int

    def type(self, text: str | bytes) -> None:
        os.write(self.typing, text.encode() if isinstance(text, str) else text)

    def mode(self) -> list[object]:
        return list(termios.tcgetattr(self.reading))


@pytest.fixture
def pair() -> Iterator[Pair]:
    typing, reading = pty.openpty()
    try:
        yield Pair(typing, reading)
    finally:
        os.close(typing)
        os.close(reading)


@pytest.mark.parametrize(
    ("typed", "keys"),
    [
        ("a", ["a"]),
        ("aé漢🙂 ", ["a", "é", "漢", "🙂", " "]),
        ("\r", ["enter"]),
        ("\n", ["enter"]),
        ("\x7f\x08\t", ["backspace", "backspace", "tab"]),
        ("\x1b[A\x1b[B\x1b[C\x1b[D", ["up", "down", "right", "left"]),
        ("\x1bOA\x1bOB", ["up", "down"]),
        ("\x1b[5~\x1b[6~\x1b[H\x1b[4~\x1b[3~", ["page-up", "page-down", "home", "end", "delete"]),
        ("\x15\x0e", ["ctrl-u", "ctrl-n"]),
        ("\x1b", ["escape"]),
        ("\x1b\x1b[A", ["escape", "up"]),
        ("\x1b[1;5C\x1b[200~q", ["q"]),  # keys without a name here
        ("\x00\x1f\x9bq", ["q"]),
    ],
)
def test_each_key_has_its_name(pair: Pair, typed: str, keys: list[str]) -> None:
    with Keyboard(pair.reading) as keyboard:
        pair.type(typed)

        assert keys == [keyboard.read_key(LONG) for _ in keys]
        assert keyboard.read_key(0) is None


def test_a_character_may_come_in_pieces(pair: Pair) -> None:
    with Keyboard(pair.reading) as keyboard:
        pair.type("漢".encode()[:2])
        assert keyboard.read_key(0.05) is None
        pair.type("漢".encode()[2:])

        assert keyboard.read_key(LONG) == "漢"


def test_bytes_that_are_no_character_do_no_harm(pair: Pair) -> None:
    with Keyboard(pair.reading) as keyboard:
        pair.type(b"\xff\xfeq")

        assert [keyboard.read_key(LONG) for _ in range(3)] == ["\ufffd", "\ufffd", "q"]


@settings(max_examples=50, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.binary(max_size=64))
def test_whatever_is_typed_each_key_is_one_character_or_a_word(pair: Pair, typed: bytes) -> None:
    words = {"enter", "tab", "backspace", "escape", *SEQUENCES.values()}
    with Keyboard(pair.reading) as keyboard:
        pair.type(typed.replace(b"\x03", b"").replace(b"\x1c", b"") + b"\n")
        while (key := keyboard.read_key(0)) is not None:
            assert len(key) == 1 or key in words or key.startswith("ctrl-")


def test_keys_are_not_echoed_and_need_no_enter(pair: Pair) -> None:
    with Keyboard(pair.reading):
        lflag = pair.mode()[3]

        assert isinstance(lflag, int)
        assert not lflag & (termios.ECHO | termios.ICANON)
        assert lflag & termios.ISIG


def test_the_terminal_is_as_it_was_afterwards_also_after_an_error(pair: Pair) -> None:
    before = pair.mode()
    with pytest.raises(RuntimeError), Keyboard(pair.reading):
        raise RuntimeError

    assert before == pair.mode()


def test_a_terminal_that_goes_away_is_the_end_of_input() -> None:
    typing, reading = pty.openpty()
    with Keyboard(reading) as keyboard:
        os.close(typing)
        with pytest.raises(EOFError):
            keyboard.read_key(LONG)
    os.close(reading)


PROGRAM = """\
from ocattach.cli.keys import Keyboard
with Keyboard() as keyboard:
    print("ready", flush=True)
    keyboard.read_key()
"""


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGHUP, signal.SIGINT])
def test_a_signal_that_ends_the_process_leaves_the_terminal_as_it_was(
    pair: Pair, number: signal.Signals, workdir: Path
) -> None:
    before = pair.mode()
    said = workdir / "said"
    with (
        said.open("w") as out,
        subprocess.Popen(
            [sys.executable, "-c", PROGRAM], stdin=pair.reading, stdout=out, stderr=subprocess.DEVNULL
        ) as program,
    ):
        try:
            wait_until(lambda: "ready" in said.read_text(), "the keys to be read")
            assert before != pair.mode()
            program.send_signal(number)
            code = program.wait(LONG)
        finally:
            program.kill()

    assert code in {128 + number, -number}
    assert before == pair.mode()
