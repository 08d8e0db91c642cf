"""A run of ssh that asks its questions through SSH_ASKPASS, until it has logged in and runs in the background."""

import os
import selectors
import shlex
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from functools import partial
from importlib import import_module
from pathlib import Path
from typing import IO

from ocattach.backoff import Deadline
from ocattach.config.files.paths import state_directory
from ocattach.config.files.safe import private_directory
from ocattach.errors import OcattachError
from ocattach.transports.base import Ask, Question
from ocattach.transports.ssh.openssh.messages import Messages

KEPT = 8 * 1024
"""Bytes of messages that are kept for errors."""

MAX_QUESTION = 64 * 1024
QUESTION_SECONDS = 5
"""Time for askpass to pass on its question, which it has as an argument."""

NOTICE_SECONDS = 0.3
"""How long ssh must go on after a message before it is shown: the last messages of a failed run are its error."""

END_SECONDS = 0.5
"""Time for what a proxy says after ssh has ended."""

PERSON_SECONDS = 300
"""Further time for what a person does elsewhere: touch a key, visit a page."""

PAGE = "://"
READY = b"ready\n"
ASKPASS = Path(__file__).with_name("askpass.py")
SOCKET_VARIABLE = "OCATTACH_ASKPASS"
"""The variable that gives our askpass the socket to ask at."""

ANSWERED, REFUSED = b"+", b"-"
"""The first byte of a reply to askpass."""

OPTIONAL = "Enter passphrase for "
"""How ssh begins the question that it can do without: it goes on with the next key (sshconnect2.c)."""

VISIBLE = ("(yes/no", "Please type 'yes'")
"""Parts of the questions about host keys, whose answer is not a secret (sshconnect.c)."""


class Login:
    """Runs a process that runs ssh and prints READY once that has logged in, and serves ssh's questions."""

    def __init__(
        self, argv: Sequence[str], directory: Path, *, host: str, ask: Ask, timeout: float, is_quiet: bool
    ) -> None:
        """`directory` is private and its path short; `timeout` does not include the time a person takes.

        With `is_quiet` messages are only kept for errors.
        """
        self._argv = argv
        self._directory = directory
        self._host = host
        self._ask = ask
        self._is_quiet = is_quiet
        self._deadline = Deadline(timeout)
        self._messages = Messages(self._keep)
        self._kept, self._new = bytearray(), bytearray()
        self._is_ready = self._has_ended = self._is_given_up = False
        self.asked: list[str] = []
        """The questions that ssh had."""
        self.unanswered: OcattachError | None = None
        """Why a question got no answer."""
        self.code: int | None = None
        """The exit code after a failure; None if the run was ended at its deadline or after a question."""

    @property
    def said(self) -> str:
        """The last 8 KiB of ssh's messages."""
        return "\n".join(self._kept.decode(errors="replace").splitlines()).strip()

    def run(self) -> subprocess.Popen[bytes] | None:
        """Return the running process once it is READY, which the caller ends, or None after a failure."""
        is_kept = False
        path = self._directory / "ask"
        with selectors.DefaultSelector() as selector, socket.socket(socket.AF_UNIX) as server:
            server.bind(str(path))
            server.listen()
            selector.register(server, selectors.EVENT_READ, lambda: self._answer(server.accept()[0]))
            process = self._start(selector)
            # Needed next, unless only a command is run; importing it takes less time than ssh to log in.
            import_module("ocattach.tunnel.tunnel")
            try:
                self._serve(selector)
                if self._is_ready:
                    self._messages.read()
                    self._show()
                    is_kept = True
                    return process
                if self._has_ended:
                    self.code = process.wait()
                return None
            finally:
                path.unlink(missing_ok=True)
                self._messages.keep_reading()
                if not is_kept:
                    self._messages.join(END_SECONDS)
                    with suppress(ProcessLookupError):
                        os.killpg(process.pid, signal.SIGKILL)
                    process.communicate()

    def _start(self, selector: selectors.BaseSelector) -> subprocess.Popen[bytes]:
        process = subprocess.Popen(
            self._argv,
            cwd="/",
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self._messages.writer,
            bufsize=0,
            start_new_session=True,
            env=askpass_environment(os.environ, self._directory),
        )
        os.close(self._messages.writer)
        selector.register(self._messages.reader, selectors.EVENT_READ, self._messages.read)
        if process.stdout is None:
            raise TypeError(process)
        selector.register(process.stdout, selectors.EVENT_READ, partial(self._take_line, process.stdout))
        return process

    def _take_line(self, pipe: IO[bytes]) -> None:
        line = pipe.readline()
        self._is_ready = self._is_ready or line == READY
        self._has_ended = not line

    def _serve(self, selector: selectors.BaseSelector) -> None:
        while not (self._is_ready or self._has_ended or self._is_given_up or self._deadline.has_passed):
            left = self._deadline.left
            ready = selector.select(min(NOTICE_SECONDS, left) if self._new else left)
            if not ready:
                self._show()
            for key, _ in ready:
                key.data()

    def _keep(self, data: bytes) -> None:
        self._kept += data
        self._new += data
        del self._kept[:-KEPT], self._new[:-KEPT]

    def _show(self) -> None:
        lines = self._new.decode(errors="replace").splitlines()
        self._new.clear()
        for line in filter(str.strip, lines):
            if PAGE in line:
                self._deadline.postpone(PERSON_SECONDS)
            if not self._is_quiet:
                self._ask_person(Question(f"{self._host}: {line}", notice=True))

    def _ask_person(self, question: Question) -> str:
        began = time.monotonic()
        try:
            return self._ask(question)
        finally:
            self._deadline.postpone(time.monotonic() - began)

    def _answer(self, connection: socket.socket) -> None:
        with connection:
            kind, question = received(connection)
            self._messages.read()  # before the question: a banner explains it
            self._show()
            if kind == "none":
                self._ask_person(Question(f"{self._host}: {question}", notice=True))
                self._deadline.postpone(PERSON_SECONDS)
                return
            self.asked.append(question)
            try:
                reply = self._reply(kind, question)
            except OcattachError as error:
                self.unanswered = self.unanswered or error
                self._is_given_up = not question.startswith(OPTIONAL)
                reply = REFUSED
            with suppress(OSError):  # ssh may have ended meanwhile
                connection.sendall(reply)

    def _reply(self, kind: str, question: str) -> bytes:
        """Return the person's answer as askpass expects it."""
        text = question if question.endswith(" ") else f"{question} "
        if kind == "confirm":
            return ANSWERED if self._ask_person(Question(text, confirm=True)) == "yes" else REFUSED
        answer = self._ask_person(Question(text, secret=not is_visible(question)))
        return ANSWERED + answer.encode(errors="surrogateescape")


def is_visible(question: str) -> bool:
    """Whether a question is about a host key, so that its answer is not a secret."""
    return any(part in question for part in VISIBLE)


def received(connection: socket.socket) -> tuple[str, str]:
    """Return the kind of an askpass's question, and its text."""
    connection.settimeout(QUESTION_SECONDS)
    data = bytearray()
    with suppress(OSError):
        while len(data) < MAX_QUESTION and (part := connection.recv(MAX_QUESTION)):
            data += part
    kind, _, question = data.decode(errors="replace").partition("\0")
    return kind, question


def askpass_environment(environ: Mapping[str, str], directory: Path) -> dict[str, str]:
    """Return the environment of ssh, in which our askpass serves its questions.

    A user's own askpass that ssh would use in a terminal too (SSH_ASKPASS_REQUIRE, ssh(1)) is kept.
    """
    environment = dict(environ)
    locale = next(filter(None, map(environ.get, ("LC_ALL", "LC_CTYPE", "LANG"))), "")
    if "utf" not in locale.lower():
        # Or ssh writes out other letters than ASCII in questions (mprintf.c). Its own words are always English.
        environment["LC_ALL"] = "C.UTF-8"
    has_display = bool(environ.get("DISPLAY") or environ.get("WAYLAND_DISPLAY"))
    used = {"force", "prefer"} if has_display else {"force"}
    if environ.get("SSH_ASKPASS") and environ.get("SSH_ASKPASS_REQUIRE") in used:
        return environment
    # On hardened hosts programs in the directory of the login cannot be run. Linux has the flag.
    is_noexec = os.statvfs(directory).f_flag & getattr(os, "ST_NOEXEC", 0)
    environment |= {
        SOCKET_VARIABLE: str(directory / "ask"),
        "SSH_ASKPASS": askpass_program(state_directory(environ) if is_noexec else directory),
        "SSH_ASKPASS_REQUIRE": "force",
    }
    # Before OpenSSH 8.4, ssh asks its askpass only if DISPLAY is set.
    return {"DISPLAY": ":0", **environment}


def askpass_program(directory: Path) -> str:
    """Return the path of our askpass, which is written to a private directory unless it is there."""
    program = directory / "askpass"
    words = shlex.join([sys.executable, "-I", "-S", str(ASKPASS)])
    script = f'#!/bin/sh\nexec {words} "${SOCKET_VARIABLE}" "$1"\n'
    if not os.access(program, os.X_OK) or program.read_text() != script:
        private_directory(directory)
        unready = program.with_name(f".askpass-{os.getpid()}")
        unready.write_text(script)
        unready.chmod(0o700)
        unready.replace(program)
    return str(program)
