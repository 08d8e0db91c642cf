"""A relay that starts before a route uses it: while the daemon is looked for, or while it starts."""

import threading
from collections.abc import Callable, Sequence
from contextlib import suppress
from importlib import import_module

from ocattach.daemon import DaemonSettings
from ocattach.daemon.script import script_argv, script_input
from ocattach.errors import OcattachError
from ocattach.execution import Stream
from ocattach.opencode.runtime import javascript_argv
from ocattach.tunnel.relay import relay_source

RECORD_VARIABLES = ("HOME", "XDG_STATE_HOME")
"""The variables on which it depends where a daemon is recorded."""

TUNNEL = "ocattach.tunnel.tunnel"
"""What is loaded while the environment works: with asyncio and h11 it takes as long as a command there."""

OpenStream = Callable[[Sequence[str]], Stream]


class EarlyRelay:
    """At most one relay, until a route takes it or it is ended."""

    def __init__(self) -> None:
        self._stream: Stream | None = None
        self._thread: threading.Thread | None = None

    @property
    def is_starting(self) -> bool:
        """Whether a thread may still be starting it."""
        return self._thread is not None

    def prepare(self, open_stream: OpenStream, settings: DaemonSettings) -> None:
        """Start it in a thread, by the program of the daemon that is recorded there. Without one it ends at once."""
        self.end()
        self._thread = threading.Thread(target=self._start, args=(open_stream, settings))
        self._thread.start()

    def _start(self, open_stream: OpenStream, settings: DaemonSettings) -> None:
        argv = script_argv("relay", *javascript_argv("PROGRAM", relay_source()))
        env = [(name, value) for name, value in settings.env if name in RECORD_VARIABLES]
        unset = [name for name in settings.unset_env if name in RECORD_VARIABLES]
        with suppress(OcattachError, OSError):
            self._stream = stream = open_stream(argv)
            stream.socket.sendall(script_input("relay", env=env, unset=unset))
        import_module(TUNNEL)

    def keep(self, stream: Stream) -> None:
        """End the former one, and keep one that was started otherwise."""
        self.end()
        self._stream = stream

    def take(self) -> Stream | None:
        """Return its stream, which the caller then closes; None without one. Waits for the thread."""
        self._await_thread()
        stream, self._stream = self._stream, None
        return stream

    def end(self) -> None:
        """Close it, if no route has taken it. Waits for the thread."""
        stream = self.take()
        if stream is not None:
            stream.close()

    def _await_thread(self) -> None:
        thread, self._thread = self._thread, None
        if thread is not None:
            thread.join()
