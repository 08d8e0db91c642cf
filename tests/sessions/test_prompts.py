"""A prompt is there once, however often it had to be sent, and comes after what was said before."""

import select
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest

from ocattach.backoff import Deadline
from ocattach.opencode.api import DaemonClient
from ocattach.opencode.prompts import PromptClient, identifier, new_prompt, of_time, time_of
from ocattach.sessions.run import RetryingClient, deliver
from ocattach.sessions.transcript import Transcript
from tests.model.server import asked_for
from tests.rigs.http_proxy import splice
from tests.rigs.http_servers import Server, serve
from tests.sessions.workshop import Workshop, workshop


@pytest.fixture(scope="module")
def here(opencode_bin: str) -> Iterator[Workshop]:  # noqa: ARG001  it is on the PATH there
    with workshop() as made:
        yield made


class Listener:
    """Notes what a way tells."""

    def __init__(self) -> None:
        self.told: list[str] = []

    def lost(self, _reason: str) -> None:
        self.told.append("lost")

    def found(self) -> None:
        self.told.append("found")

    def said(self, _text: str) -> None: ...

    def waits(self, _asked: object) -> None: ...

    def retries(self, _situation: object) -> None: ...


@contextmanager
def forgetful_gateway(port: int, path: str, times: int) -> Iterator[Server]:
    """Passes everything on, but loses the first answers to requests for a path."""
    left = times

    def behave(connection: socket.socket, server: Server) -> None:
        nonlocal left
        head = server.heads[-1]
        with socket.create_connection(("127.0.0.1", port)) as there:
            there.sendall(head.encode())
            if path not in head.split("\r\n")[0] or not left:
                splice(connection, there, server.gone)
                return
            left -= 1
            while there not in select.select([there, connection], [], [])[0]:
                there.sendall(connection.recv(65536))
            assert b" 204 " in there.recv(65536)

    with serve(behave) as server:
        yield server


def test_a_prompt_whose_receipt_was_lost_is_there_once(here: Workshop) -> None:
    session, listener = here.open_session("receipt"), Listener()
    prompt = new_prompt("sent how often?", [], time=of_time(session.created))
    with forgetful_gateway(here.daemon.port, "prompt_async", times=2) as gateway:
        client = DaemonClient(gateway.url, password=here.daemon.password, timeout=20)
        deliver(
            RetryingClient(client, lambda _: client, listener, deadline=Deadline(60)),
            session.id,
            prompt,
        )
        sent = [head for head in gateway.heads if "prompt_async" in head.split("\r\n")[0]]
    seen = here.rests(session)

    assert listener.told == ["lost", "found"]
    assert 1 <= len(sent) <= 3
    assert [message.text for message in seen.messages] == ["sent how often?", "You said: sent how often?"]
    assert asked_for(here.machine.model.requests, "sent how often?") == 1


def test_a_prompt_that_arrives_several_times_is_one(here: Workshop) -> None:
    session = here.open_session("several")
    prompt, prompts = new_prompt("!slow 1", [], time=of_time(session.created)), PromptClient(here.client)

    def send() -> None:
        prompts.send(session.id, prompt)

    at_once = [threading.Thread(target=send) for _ in range(3)]
    for each in at_once:
        each.start()
    for each in at_once:
        each.join()
    here.rests(session)
    send()
    send_another = new_prompt("and now", [prompt.id, here.rests(session).messages[-1].id])
    prompts.send(session.id, send_another)
    seen = here.rests(session)
    while len(seen.messages) < 4:
        seen = here.rests(session)

    assert [message.text for message in seen.messages] == [
        "!slow 1",
        "w0 w1 w2 w3 w4",
        "and now",
        "You said: and now",
    ]
    assert asked_for(here.machine.model.requests, "!slow 1") == 1


def test_an_id_is_later_than_what_was_there_and_of_the_daemons_own_time() -> None:
    before = identifier("msg", of_time(1_795_283_262_336))

    prompt = new_prompt("text", [before, "no id"], model="fake/models/fake-1")

    assert prompt.id > before
    assert time_of(prompt.id) == time_of(before) + 1
    assert (prompt.provider, prompt.model) == ("fake", "models/fake-1")


def part(text: str, *, of: str = "msg_a", number: int = 1) -> dict[str, Any]:
    return {"part": {"id": f"prt_{number}", "messageID": of, "type": "text", "text": text}}


def delta(text: str, *, number: int = 1) -> dict[str, Any]:
    return {"partID": f"prt_{number}", "field": "text", "delta": text}


def test_words_are_told_once_and_none_is_missing_after_a_gap() -> None:
    transcript = Transcript("msg_prompt")
    begun: list[dict[str, Any]] = [
        {"info": {"id": "msg_a", "parentID": "msg_prompt"}},
        {"info": {"id": "msg_b", "parentID": "msg_other"}},
        part(""),
        delta("one "),
        part("another's", of="msg_b", number=9),
        delta("another's", number=9),
        delta("two "),
    ]
    told = [transcript.receive(event) for event in begun]
    transcript.miss()
    told += [transcript.receive(event) for event in (delta("four "), part("one two three four five "))]
    told += [transcript.receive(event) for event in (part("one two three four five"), part("", number=2))]
    told += [transcript.receive(delta("more", number=2))]

    assert "".join(told) == "one two three four five \n\nmore"
