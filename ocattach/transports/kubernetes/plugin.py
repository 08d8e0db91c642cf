"""Credential plugins of a kubeconfig: programs that print a token or a certificate."""

import json
import os
import re
import signal
import subprocess
import termios
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

from kubernetes.config.exec_provider import ExecProvider

from ocattach.errors import AuthenticationError, TimedOutError
from ocattach.execution import check_output
from ocattach.transports.base import Ask, NoPerson, Question
from ocattach.transports.process import Exchange
from ocattach.untrusted_json import parse_json, table

PROMPT = re.compile(rb"[:?>] \Z")
"""The end of a line in which a program waits for an answer."""

MOST_LINES = 100
"""How many lines of a plugin are shown. They are sent one by one, and one without end would keep the link busy."""

LONGEST_LINE = 4096
"""The bytes of a line that are kept."""

ECHO = 3
"""Index of the local modes in the list of termios.tcgetattr."""


class PluginRun:
    """One run of a plugin. Its lines on stderr are shown at once, and its questions are asked."""

    def __init__(self, plugin: ExecProvider, mode: str, ask: Ask) -> None:
        """Raises PersonNeededError.

        `mode` is the `interactiveMode` of the kubeconfig: Never, IfAvailable or Always. `plugin.cluster` is what the
        plugin is given about the cluster.
        """
        self.name = str(plugin.args[0])
        self.interactive = mode != "Never" and not isinstance(ask, NoPerson)
        if mode == "Always" and isinstance(ask, NoPerson):
            raise ask.error(f"the credential plugin {self.name} needs a terminal")
        self._plugin, self._ask = plugin, ask
        self._stdout, self._line = bytearray(), bytearray()
        self._last, self._lines = "", 0
        self._terminal = -1

    def credentials(self, timeout: float) -> Mapping[str, Any]:
        """Run the plugin and return the `status` that it prints.

        Raises AuthenticationError, TimedOutError, and what `ask` raises.
        """
        with self._terminal_for_answers() as stdin, self._process(stdin) as process:
            try:
                Exchange(process, b"", stdout=self._take_stdout, stderr=self._take_stderr).run(
                    time.monotonic() + timeout
                )
            except TimeoutError:
                raise TimedOutError(
                    f"The credential plugin {self.name} did not end within {timeout:.0f} s{self._printed}",
                    hint="Allow more time with --timeout, or log in with: kubectl get pods",
                ) from None
            finally:
                if process.poll() is None:
                    os.killpg(process.pid, signal.SIGKILL)
        if process.returncode != 0:
            raise AuthenticationError(
                f"The credential plugin {self.name} failed with exit code {process.returncode}{self._printed}",
                hint="Log in again as for kubectl, then reconnect",
            )
        return self._status()

    @property
    def _printed(self) -> str:
        last = self._line.decode(errors="replace").strip() or self._last
        return f": {last}" if last else ""

    def _process(self, stdin: int) -> "subprocess.Popen[bytes]":
        plugin = self._plugin
        spec: dict[str, Any] = {"interactive": self.interactive}
        if plugin.cluster:
            spec["cluster"] = plugin.cluster
        info = json.dumps({"apiVersion": plugin.api_version, "kind": "ExecCredential", "spec": spec})
        try:
            return subprocess.Popen(
                plugin.args,
                stdin=stdin,
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
                cwd=plugin.cwd,
                env={**plugin.env, "KUBERNETES_EXEC_INFO": info},
                start_new_session=True,
            )
        except OSError as error:
            raise AuthenticationError(
                f"The credential plugin {self.name} cannot be run: {error.strerror}",
                hint="Install it, or correct the user in your kubeconfig: kubectl config view",
            ) from error

    @contextmanager
    def _terminal_for_answers(self) -> Iterator[int]:
        """Yield the plugin's stdin: a terminal, since passwords are read from nothing else."""
        if not self.interactive:
            yield subprocess.DEVNULL
            return
        self._terminal, inner = os.openpty()
        try:
            yield inner
        finally:
            os.close(self._terminal)
            os.close(inner)

    def _take_stdout(self, data: bytes) -> None:
        self._stdout += data
        check_output(len(self._stdout), "a credential plugin")

    def _take_stderr(self, data: bytes) -> None:
        self._line += data
        *lines, rest = self._line.split(b"\n")
        self._line = bytearray(rest[-LONGEST_LINE:])
        for line in lines:
            if text := line.decode(errors="replace").strip():
                self._last, self._lines = text[-LONGEST_LINE:], self._lines + 1
                if self._lines <= MOST_LINES:
                    self._ask(Question(self._last, notice=True))
        if self.interactive and PROMPT.search(rest):
            self._line.clear()
            hidden = not termios.tcgetattr(self._terminal)[ECHO] & termios.ECHO
            answer = self._ask(Question(rest.decode(errors="replace"), secret=hidden))
            os.write(self._terminal, f"{answer}\n".encode())

    def _status(self) -> Mapping[str, Any]:
        answer: Mapping[str, Any]
        try:
            answer = table(parse_json(bytes(self._stdout)))
        except ValueError:  # the output may contain a credential, so it is not shown
            answer = {}
        status = table(answer.get("status"))
        is_given = isinstance(status.get("token"), str) or (
            isinstance(status.get("clientKeyData"), str)
            and isinstance(status.get("clientCertificateData"), str)
        )
        if is_given and answer.get("apiVersion") == self._plugin.api_version:
            return status
        raise AuthenticationError(
            f"The credential plugin {self.name} gave no credentials of {self._plugin.api_version}",
            hint="Check the plugin: kubectl config view",
        )
