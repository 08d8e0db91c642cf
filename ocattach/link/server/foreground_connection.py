"""The connection of a link to the command that it serves, and the person at that."""

import logging
from collections.abc import Mapping

from ocattach.errors import AuthenticationError
from ocattach.link.messages import MessageChannel
from ocattach.transports.base import Question

logger = logging.getLogger(__name__)

PERSON_SECONDS = 300
"""How long a person may take to answer a question."""


class ForegroundConnection:
    """The command on the other end of a channel."""

    def __init__(self, channel: MessageChannel, environ: Mapping[str, str]) -> None:
        self._channel = channel
        self.environ = environ

    def doing(self, text: str) -> None:
        """Report what is being done."""
        self._channel.send({"doing": text})

    def step(self, text: str) -> None:
        """Report a completed step."""
        logger.info("step: %s", text)
        self._channel.send({"step": text})

    def notice(self, text: str) -> None:
        """Report what happened since the last attach."""
        self._channel.send({"notice": text})

    def ask(self, question: Question) -> str:
        """Return the answer of the person. Raises AuthenticationError without one."""
        if question.notice:
            self.notice(question.text)
            return ""
        self._channel.send(
            {"ask": {"text": question.text, "secret": question.secret, "confirm": question.confirm}}
        )
        try:
            answer = self._channel.receive(timeout=PERSON_SECONDS).get("answer")
        except TimeoutError as error:
            raise AuthenticationError(
                f"No answer within {PERSON_SECONDS} s: {question.text}",
                hint="Connect again, and answer the question",
            ) from error
        if answer is None:
            raise AuthenticationError(
                f"This question needs a terminal: {question.text}",
                hint="Run the command once from a terminal",
            )
        return str(answer)
