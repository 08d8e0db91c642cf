"""The bytes' way to an ssh host where the user's configuration puts a command in the place of TCP."""

import contextlib
import os
import socket
import subprocess
import threading

DIAGNOSIS = 2048
END_SECONDS = 2


class ProxyCommand:
    """The user's ProxyCommand, run as OpenSSH runs it: by the user's shell, which it replaces.

    It comes from the user's own ssh configuration and from nowhere else. Closing it twice is harmless.
    """

    def __init__(self, command: str) -> None:
        self.socket, theirs = socket.socketpair()
        self._said = bytearray()
        try:
            self._process: subprocess.Popen[bytes] = subprocess.Popen(
                [os.environ.get("SHELL") or "/bin/sh", "-c", f"exec {command}"],
                stdin=theirs.fileno(),
                stdout=theirs.fileno(),
                stderr=subprocess.PIPE,
                start_new_session=True,
            )
        except OSError:
            self.socket.close()
            raise
        finally:
            theirs.close()
        self._listener = threading.Thread(target=self._listen, name="ocattach-proxy-stderr", daemon=True)
        self._listener.start()

    def _listen(self) -> None:
        pipe = self._process.stderr
        while pipe and (data := os.read(pipe.fileno(), DIAGNOSIS)):
            self._said += data
            del self._said[:-DIAGNOSIS]

    def diagnosis(self) -> str:
        """The last it said on stderr, once it had the time to say it."""
        with contextlib.suppress(subprocess.TimeoutExpired):
            self._process.wait(END_SECONDS)
        self._listener.join(END_SECONDS)
        return self._said.decode(errors="replace").strip()

    def close(self) -> None:
        """End the command."""
        self.socket.close()
        if self._process.poll() is None:
            self._process.terminate()
        try:
            self._process.wait(END_SECONDS)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        self._listener.join(END_SECONDS)
        if self._process.stderr and not self._listener.is_alive():
            self._process.stderr.close()
