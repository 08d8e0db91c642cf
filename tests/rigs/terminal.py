"""A terminal that a test can type into and read: a tmux server of its own, 120 by 40."""

import re
import shlex
import shutil
import subprocess
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Self

import psutil

from tests.rigs.availability import need
from tests.rigs.waiting import wait_until

OPTIONS = (
    ("-g", "default-shell", "/bin/sh"),
    ("-g", "remain-on-exit", "on"),  # so that the exit code and the last screen can be read
    ("-g", "remain-on-exit-format", ""),
    ("-g", "status", "off"),
    ("-g", "history-limit", "10000"),
    ("-s", "escape-time", "0"),
)
POLL_INTERVAL = 0.1


class Terminal:
    """A command on a terminal. Close it, or use `with`; whatever runs in it then gets a hang-up."""

    def __init__(
        self,
        argv: Sequence[str | Path],
        *,
        directory: Path,
        environment: Mapping[str, str],
        cwd: Path,
        width: int = 120,
        height: int = 40,
    ) -> None:
        """Start argv with this environment, to which tmux adds TERM; directory is for the socket."""
        need("tmux")
        self._socket = directory / "tmux"
        self._status = directory / "exit-code"
        self._status.unlink(missing_ok=True)
        leash = ["setpriv", "--pdeathsig", "KILL"] if shutil.which("setpriv") else []
        self._environment = dict(environment)
        self._server = subprocess.Popen(
            [*leash, "tmux", "-D", "-u", "-S", str(self._socket), "-f", "/dev/null"],
            env=self._environment,
            start_new_session=True,
            stdin=subprocess.DEVNULL,
        )
        try:
            wait_until(self._is_up, "tmux to answer")
            for option in OPTIONS:
                self._tmux("set", *option)
            size = ("-x", str(width), "-y", str(height))
            command = f"{shlex.join(map(str, argv))}; echo $? >{self._status}.new; mv {self._status}.new {self._status}"
            self._tmux("new-session", "-d", *size, "-c", str(cwd), f"trap : INT QUIT; {command}")
        except BaseException:
            self.close()
            raise

    @property
    def pid(self) -> int:
        """The command's process."""
        shell = psutil.Process(int(self._ask("#{pane_pid}")))
        return wait_until(shell.children, "the command to start")[0].pid

    def screen(self, *, history: bool = False, colours: bool = False) -> str:
        """What is to be seen; with history, also what has scrolled away; with colours, by escape sequences."""
        more = [*(["-S", "-"] if history else []), *(["-e"] if colours else [])]
        return self._tmux("capture-pane", "-p", *more).rstrip()

    @property
    def width(self) -> int:
        """How many columns there are."""
        return int(self._ask("#{pane_width}"))

    @property
    def title(self) -> str:
        """The title that was set last."""
        return self._ask("#{pane_title}")

    def send_text(self, text: str) -> None:
        """Type these characters as they are."""
        self._tmux("send-keys", "-l", "--", text)

    def send_keys(self, *keys: str) -> None:
        """Press keys by tmux's names for them: Enter, C-c, Escape, Up."""
        self._tmux("send-keys", *keys)

    def resize(self, width: int, height: int) -> None:
        self._tmux("resize-window", "-x", str(width), "-y", str(height))

    def wait_for(
        self, awaited: str | re.Pattern[str] | Callable[[str], object], *, timeout: float = 60
    ) -> str:
        """The first screen that shows the text, matches the pattern or satisfies the predicate."""
        deadline = time.monotonic() + timeout
        while True:
            screen = self.screen()
            if _shows(screen, awaited):
                return screen
            if time.monotonic() > deadline:
                raise TimeoutError(f"waited {timeout:g} s for {awaited!r}{self._state()}")
            time.sleep(POLL_INTERVAL)

    @property
    def exit_code(self) -> int | None:
        """The command's exit code, 128 + N after signal N; None while it runs.

        The shell around it writes it down: tmux 3.3a at times leaves a command unreaped that ended long ago.
        """
        return int(self._status.read_text()) if self._status.exists() else None

    def wait_for_exit(self, *, timeout: float = 60) -> int:
        """The exit code, once there is one."""
        deadline = time.monotonic() + timeout
        while (code := self.exit_code) is None:
            if time.monotonic() > deadline:
                raise TimeoutError(f"waited {timeout:g} s for the command to end{self._state()}")
            time.sleep(POLL_INTERVAL)
        return code

    def close(self) -> None:
        """End the terminal. Closing twice is harmless."""
        self._server.kill()
        self._server.wait()
        self._socket.unlink(missing_ok=True)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _state(self) -> str:
        return f"\nexit code: {self.exit_code}\nscreen:\n{self.screen()}\n(end of screen)"

    def _ask(self, question: str) -> str:
        return self._tmux("display-message", "-p", question).strip()

    def _is_up(self) -> bool:
        if self._server.poll() is not None:
            raise RuntimeError(f"tmux ended with {self._server.returncode}")
        return self._socket.exists() and self._run("show", "-s", "escape-time").returncode == 0

    def _tmux(self, *words: str) -> str:
        done = self._run(*words)
        if done.returncode:
            raise RuntimeError(f"tmux {words[0]}: {done.stderr}")
        return done.stdout

    def _run(self, *words: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            ["tmux", "-u", "-S", self._socket, *words],
            capture_output=True,
            encoding="utf-8",
            check=False,
            env=self._environment,
        )


def _shows(screen: str, awaited: str | re.Pattern[str] | Callable[[str], object]) -> bool:
    if isinstance(awaited, str):
        return awaited in screen
    if isinstance(awaited, re.Pattern):
        return awaited.search(screen) is not None
    return bool(awaited(screen))
