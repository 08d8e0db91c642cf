"""Send one prompt exactly once, over a connection that may be lost meanwhile."""

import time

from ocattach.backoff import Deadline
from ocattach.errors import RunFailedError
from ocattach.opencode.api import DaemonClient
from ocattach.opencode.prompts import Prompt, PromptClient
from ocattach.sessions.run import RetryingClient

ARRIVAL_SECONDS, ARRIVAL_PAUSE = 30.0, 0.5
"""How long a prompt with files may take to be stored: large images are resized first, for seconds."""


def deliver(client: RetryingClient, session: str, prompt: Prompt) -> None:
    """Send a prompt exactly once: after a failed try, the daemon is asked whether the prompt has arrived.

    Raises RunFailedError if it does not store a prompt with files.
    """
    may_have_arrived = False

    def attempt(daemon: DaemonClient) -> None:
        nonlocal may_have_arrived
        prompts = PromptClient(daemon)
        if may_have_arrived and prompts.find(session, prompt.id, prompt.parts) is not None:
            return
        may_have_arrived = True
        prompts.send(session, prompt)

    client.ask(attempt)
    if prompt.files:
        await_arrival(client, session, prompt)


def await_arrival(client: RetryingClient, session: str, prompt: Prompt) -> None:
    """Wait until a prompt is stored. OpenCode (1.18.33) drops one with an image that it cannot decode."""
    deadline = Deadline(min(ARRIVAL_SECONDS, client.deadline.left))
    while client.ask(lambda daemon: PromptClient(daemon).find(session, prompt.id)) is None:
        if deadline.has_passed:
            names = ", ".join(file.name for file in prompt.files)
            raise RunFailedError(f"OpenCode has not taken the prompt. It may not be able to read {names}")
        time.sleep(ARRIVAL_PAUSE)
