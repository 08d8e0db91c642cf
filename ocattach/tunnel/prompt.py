"""Prompts that clients send through the local port: each is kept until it is answered, and survives a loss.

A prompt runs the model and its tools, so it must not be sent blindly again. It gets ids of its own before it is
sent. After a loss the daemon is asked whether it has the prompt: if not, the prompt is sent again; if so, it is
answered here once its run has ended.
"""

import asyncio
import logging
import re
from collections.abc import Callable
from contextlib import suppress
from http import HTTPStatus
from typing import Protocol

import h11

from ocattach.errors import OcattachError
from ocattach.tunnel.blocking import in_thread
from ocattach.tunnel.request import Request

PATH = re.compile(rb"/session/(ses_[A-Za-z0-9]{1,60})/(message|prompt_async)(?:\?.*)?")

LENGTH_LIMIT = 8 * 1024 * 1024
"""The longest body of a prompt that is kept, in bytes; images are part of it."""

KEPT_LIMIT = 32 * 1024 * 1024
"""Bytes that are kept for all clients of one port."""

RESPONSE_LIMIT = 1024 * 1024
"""Bytes of a response that are held back until it is complete."""

MOST_SENDS = 4
"""How often one prompt is sent, with the same ids."""

TRIES, PAUSE_SECONDS = 3, 0.5
"""Tries to prepare a prompt; after these it is sent as it is."""

ACCEPTED = (b"HTTP/1.1 204", b"HTTP/1.0 204")
"""The response to `prompt_async`, which comes before the prompt is stored (1.18.33)."""

CONFIRM_SECONDS, CONFIRM_PAUSE_SECONDS = 10.0, 0.05
"""How long that response is held back until the prompt is stored; one that is not valid never is."""

POLL_SECONDS = 1.0
UNKNOWN_SECONDS = 30.0
"""How long the daemon may fail to say what became of a prompt."""

SETTLE_SECONDS, STOPPED_SECONDS = 60.0, 5.0
"""How long a session may be idle before its prompt counts as abandoned: before and after its answer has begun."""

log = logging.getLogger(__name__)


class Arrival(Protocol):
    """What a daemon says about a prompt."""

    @property
    def has_arrived(self) -> bool:
        """Whether the daemon has it."""

    @property
    def is_running(self) -> bool:
        """Whether its session works."""

    @property
    def has_begun(self) -> bool:
        """Whether there is an answer, which may not be complete."""

    @property
    def answer(self) -> bytes | None:
        """The body of the response to the client, as OpenCode sends it; None while there is none."""


class IdentifiedPrompt(Protocol):
    """A prompt that can be sent several times and is still one prompt."""

    @property
    def body(self) -> bytes:
        """The body of the request, with ids."""

    def find(self) -> Arrival:
        """Ask the daemon for it. Called on a separate thread. Raises OcattachError."""


class PromptRecovery(Protocol):
    """Knows the API of prompts."""

    def identify(self, session: str, body: bytes, *, waits: bool) -> IdentifiedPrompt | None:
        """Add ids to a prompt; None for a body that is not a prompt. `waits`: the response comes after the run.

        Called on a separate thread. Raises OcattachError.
        """


class AbandonedError(Exception):
    """A prompt will not be answered; the text is for the client."""


class PromptKeeper:
    """Keeps the prompts of one local port, within a limit of memory. Belongs to one event loop."""

    def __init__(self, recovery: PromptRecovery) -> None:
        self._recovery = recovery
        self._kept = 0

    def keep(self, request: Request) -> "PendingPrompt | None":
        """Return the prompt that a request begins; None if it is none, or cannot be kept."""
        found = PATH.fullmatch(request.target) if request.method == b"POST" else None
        length = int(request.fields.get(b"content-length", 0))
        if found is None or request.fields.keys() & {b"transfer-encoding", b"upgrade", b"expect"}:
            return None
        if not 0 < length <= min(LENGTH_LIMIT, KEPT_LIMIT - self._kept):
            return None
        self._kept += length
        waits = found[2] == b"message"
        return PendingPrompt(self, self._recovery, found[1].decode(), length, waits=waits)

    def release(self, length: int) -> None:
        """Forget a prompt of this length."""
        self._kept -= length


class PendingPrompt:
    """A prompt from the head of its request to the end of its response."""

    def __init__(
        self, keeper: PromptKeeper, recovery: PromptRecovery, session: str, length: int, *, waits: bool
    ) -> None:
        self._keeper, self._recovery = keeper, recovery
        self._session, self._length, self._waits = session, length, waits
        self._body = bytearray()
        self._prompt: IdentifiedPrompt | None = None
        self._is_plain = False
        """Whether it is sent as the client wrote it."""
        self._sends = 0
        self.was_interrupted = False
        """Whether a connection was lost while it was under way."""
        self._response = bytearray()
        self.is_answered = False
        """Whether the whole response is here."""
        self._parser = new_response_parser()

    @property
    def is_complete(self) -> bool:
        """Whether its whole body is here."""
        return len(self._body) == self._length

    @property
    def was_sent(self) -> bool:
        """Whether it may have arrived."""
        return self._sends > 0

    @property
    def can_recover(self) -> bool:
        """Whether it may be lost and sent again."""
        return not (self.was_sent and self._is_plain)

    @property
    def has_sends_left(self) -> bool:
        """Whether it was not sent too often."""
        return self._sends < MOST_SENDS

    @property
    def ends_reusable(self) -> bool:
        """Whether its response, if there is one, lets the client use the connection again."""
        return not self.is_answered or self._parser.their_state is h11.DONE

    def take(self, body: bytes) -> None:
        """Take a part of the body."""
        self._body += body

    def release(self) -> None:
        """Forget the body."""
        self._keeper.release(self._length)
        self._length = 0

    def interrupt(self) -> None:
        """Discard what has arrived of the response: the connection was lost."""
        self.was_interrupted = True
        self._response.clear()
        self.is_answered = False
        self._parser = new_response_parser()

    def hold(self, data: bytes) -> bytes | None:
        """Take a part of the response, or its end without data; return the response, once, when it is complete."""
        if self.is_answered:
            return None
        self._response += data
        self.is_answered = self._is_whole(data) or len(self._response) > RESPONSE_LIMIT
        return bytes(self._response) if self.is_answered else None

    def _is_whole(self, data: bytes) -> bool:
        try:
            self._parser.receive_data(data)
            while (event := self._parser.next_event()) is not h11.NEED_DATA:
                if isinstance(event, h11.EndOfMessage | h11.ConnectionClosed) or event is h11.PAUSED:
                    return True
        except h11.RemoteProtocolError:
            return bool(data)
        return False

    @property
    def needs_confirmation(self) -> bool:
        """Whether the response came before the daemon has stored the prompt."""
        return self._response.startswith(ACCEPTED) and self._prompt is not None

    async def confirm(self) -> bool:
        """Wait for a short time until the daemon has the prompt, which is lost if the daemon is killed before."""
        loop = asyncio.get_running_loop()
        began = loop.time()
        while self._prompt is not None and loop.time() - began < CONFIRM_SECONDS:
            with suppress(OcattachError):
                if (await in_thread(self._prompt.find)).has_arrived:
                    return True
            await asyncio.sleep(CONFIRM_PAUSE_SECONDS)
        return False

    async def deliver(self, send: Callable[[bytes], bool]) -> bytes | None:
        """Send the prompt, unless the daemon has it; then return the body of the response, when its run has ended.

        `send` returns whether there was a connection to send it over. Raises AbandonedError.
        """
        if self._prompt is None and not self._is_plain:
            self._prompt = await self._identify()
            self._is_plain = self._prompt is None
        if self.was_sent and self._prompt is not None:
            answer = await self._settle(self._prompt)
            if answer is not None:
                return answer
        if not self.has_sends_left:
            raise AbandonedError(
                f"The connection was lost {MOST_SENDS} times before OpenCode took this prompt."
            )
        if send(bytes(self._body) if self._prompt is None else self._prompt.body):
            self._sends += 1
        return None

    async def _identify(self) -> IdentifiedPrompt | None:
        body = bytes(self._body)
        for _ in range(TRIES):
            try:
                return await in_thread(
                    lambda: self._recovery.identify(self._session, body, waits=self._waits)
                )
            except OcattachError as error:
                log.info("Cannot prepare a prompt yet: %s", error)
                await asyncio.sleep(PAUSE_SECONDS)
        return None

    async def _settle(self, prompt: IdentifiedPrompt) -> bytes | None:
        """Return the answer once there is one; None if the prompt has not arrived."""
        loop = asyncio.get_running_loop()
        known = active = loop.time()
        while True:
            try:
                arrival = await in_thread(prompt.find)
            except OcattachError as error:
                if loop.time() - known > UNKNOWN_SECONDS:
                    raise AbandonedError(
                        f"Cannot find out whether OpenCode has this prompt: {error}"
                    ) from error
            else:
                known = loop.time()
                if not arrival.has_arrived or arrival.answer is not None:
                    return arrival.answer
                active = known if arrival.is_running else active
                if known - active > (STOPPED_SECONDS if arrival.has_begun else SETTLE_SECONDS):
                    raise AbandonedError("OpenCode has this prompt, and ended before it answered.")
            await asyncio.sleep(POLL_SECONDS)


def new_response_parser() -> h11.Connection:
    """Return a parser for the response to a request."""
    parser = h11.Connection(h11.CLIENT, max_incomplete_event_size=RESPONSE_LIMIT)
    parser.send(h11.Request(method="POST", target="/", headers=[("Host", "localhost")]))
    parser.send(h11.EndOfMessage())
    return parser


def response(answer: bytes) -> bytes:
    """Return the response to a prompt, as OpenCode sends it (1.18.33)."""
    if not answer:
        return f"HTTP/1.1 {HTTPStatus.NO_CONTENT.value} No Content\r\n\r\n".encode()
    return b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n%b" % (
        len(answer),
        answer,
    )
