"""A person at a terminal who answers the questions they know, for a program whose output goes elsewhere."""

import os
import pty
import termios
import threading
from collections.abc import Mapping
from typing import Self

OUTPUT_FLAGS = 1
"""Which of tcgetattr's values has OPOST: it would put a carriage return before each line's end."""


class Typist:
    """A terminal for a program's stdin and stderr. Close it, or use `with`."""

    def __init__(self, answers: Mapping[str, str]) -> None:
        """Type an answer as often as the words are printed that it belongs to."""
        self._answers = answers
        self._screen, self.terminal = pty.openpty()
        settings = termios.tcgetattr(self.terminal)
        settings[OUTPUT_FLAGS] &= ~termios.OPOST
        termios.tcsetattr(self.terminal, termios.TCSANOW, settings)
        self._seen = bytearray()
        self._thread = threading.Thread(target=self._attend)
        self._thread.start()

    def _attend(self) -> None:
        answered = 0
        while True:
            try:
                data = os.read(self._screen, 65536)
            except OSError:  # nobody has the terminal any more
                return
            self._seen += data
            for words, answer in self._answers.items():
                place = self._seen.find(words.encode(), answered)
                if place >= 0:
                    answered = place + len(words)
                    os.write(self._screen, f"{answer}\n".encode())

    @property
    def text(self) -> str:
        """All that was printed, once the terminal is closed."""
        return self._seen.decode(errors="replace")

    def close(self) -> None:
        """Leave the terminal; closing it twice is harmless."""
        if self._thread.is_alive():
            os.close(self.terminal)
            self._thread.join()
            os.close(self._screen)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()
