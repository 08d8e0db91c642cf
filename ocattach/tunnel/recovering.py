"""A gated client whose prompts survive the loss of the connection."""

import asyncio
import logging
from http import HTTPStatus

from ocattach.tunnel.client import UNANSWERED
from ocattach.tunnel.gate import Gate
from ocattach.tunnel.gated import Admitted, GatedClient
from ocattach.tunnel.prompt import AbandonedError, PendingPrompt, PromptKeeper, response
from ocattach.tunnel.request import Request

log = logging.getLogger(__name__)


class RecoveringClient(GatedClient):
    """A gated client. The body of a prompt is read whole before it is sent, and its response before it is passed on."""

    def __init__(self, gate: Gate, keeper: PromptKeeper, *arguments: object) -> None:
        super().__init__(gate, *arguments)
        self._keeper = keeper
        self._prompt: PendingPrompt | None = None
        """The current request, if it is a prompt that is kept until it is answered."""
        self._delivery: asyncio.Task[None] | None = None
        self._is_idle = False
        """Whether the last response is known to be complete, and no request has come since."""

    def connection_lost(self, error: Exception | None) -> None:
        self._drop_prompt()
        super().connection_lost(error)

    def write(self, data: bytes) -> None:
        """Send the client data from the environment; the response to a prompt once it is complete."""
        if self._prompt is None:
            super().write(data)
        else:
            self._take_response(self._prompt, data)

    def end_writing(self) -> None:
        """Handle the end of the environment's output, which can be the end of the response to a prompt.

        OpenCode may close the connection as soon as it has answered, before the prompt is stored (1.18.33).
        """
        if self._is_idle and not self._read_ended:
            self.lose()
            return
        if self._prompt is not None:
            self._take_response(self._prompt, b"")
        if self._prompt is not None and self._prompt.is_answered:
            self._has_begun = False
            self.detach()
            return
        super().end_writing()

    def lose(self) -> None:
        """Handle the loss of the connection. A prompt is sent again, unless the daemon has it.

        An idle client gets a connection for its next request.
        """
        if self._is_idle and not self._read_ended:
            self._current = None
            self._wait()
        elif self._prompt is not None and self._can_wait and self._prompt.can_recover:
            self._stop_delivery()
            self._prompt.interrupt()
            self._wait()
            self._on_interrupted(self)
        else:
            super().lose()

    def refuse_unsent(self, reason: str) -> None:
        """Refuse the request because there is no connection; a prompt may have been sent before."""
        if self._prompt is None or not self._prompt.was_sent:
            super().refuse_unsent(reason)
        else:
            self.refuse(HTTPStatus.BAD_GATEWAY, f"{UNANSWERED} Since then: {reason}")

    @property
    def _is_repeating(self) -> bool:
        return super()._is_repeating or (self._prompt is not None and self._prompt.was_interrupted)

    @property
    def _is_preparing(self) -> bool:
        return self._prompt is not None and self._prompt.is_complete

    @property
    def _can_advance(self) -> bool:
        if self._prompt is None:
            return super()._can_advance
        return not self._refusal and not self._is_preparing

    def _begin_request(self, request: Request, *, is_first: bool) -> None:
        if is_first or not self._unanswered:
            self._prompt = self._keeper.keep(request)
        was_idle, self._is_idle = self._is_idle, False
        if is_first and was_idle:
            self._on_interrupted(self)

    def _send_head(self, admitted: Admitted) -> None:
        super()._send_head(admitted)
        if self._is_preparing:
            self._deliver()

    def _send(self, head: bytes) -> None:
        if self._prompt is None:
            super()._send(head)

    def _forward(self, body: bytes) -> None:
        if self._prompt is None:
            super()._forward(body)
            return
        self._prompt.take(body)
        if self._is_preparing and self._has_begun:
            self._deliver()

    def _deliver(self) -> None:
        self._delivery = asyncio.get_running_loop().create_task(self._deliver_prompt())

    async def _deliver_prompt(self) -> None:
        if self._prompt is None:
            return
        try:
            answer = await self._prompt.deliver(self._send_prompt)
        except AbandonedError as error:
            self.refuse(HTTPStatus.BAD_GATEWAY, str(error))
        except Exception:
            log.exception("Could not deliver a prompt")
            self.refuse(HTTPStatus.BAD_GATEWAY, UNANSWERED)
        else:
            if answer is not None:
                self._answer_prompt(response(answer))

    def _send_prompt(self, body: bytes) -> bool:
        if self.other is None or self._current is None:
            return False
        length = (b"Content-Length", b"%d" % len(body))
        self.other.write(self._gate.encode(self._current.request, self.upstream, length) + body)
        return True

    def _take_response(self, prompt: PendingPrompt, data: bytes) -> None:
        whole = prompt.hold(data)
        if whole is not None and prompt.needs_confirmation:
            self._stop_delivery()
            self._delivery = asyncio.get_running_loop().create_task(self._confirm(prompt, whole))
        elif whole is not None:
            self._answer_prompt(whole)

    async def _confirm(self, prompt: PendingPrompt, whole: bytes) -> None:
        is_stored = True
        try:
            is_stored = await prompt.confirm()
        except Exception:
            log.exception("Could not look up a prompt")
        if not is_stored and self.other is None and prompt.has_sends_left:
            self.lose()
        else:
            self._answer_prompt(whole)

    def _answer_prompt(self, whole: bytes) -> None:
        self._is_idle = self._prompt is not None and self._prompt.ends_reusable
        self._drop_prompt()
        self.write(whole)
        if self.other is None:
            self.end_writing()
            self._advance()
            return
        self._end_request()
        self._read_on()

    def _drop_prompt(self) -> None:
        self._stop_delivery()
        prompt, self._prompt = self._prompt, None
        if prompt is not None:
            prompt.release()

    def _stop_delivery(self) -> None:
        delivery, self._delivery = self._delivery, None
        if delivery is not None and delivery is not asyncio.current_task():
            delivery.cancel()
