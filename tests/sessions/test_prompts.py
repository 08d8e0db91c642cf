"""A prompt is there once, however often it had to be sent, and comes after what was said before."""

import http.client
import json
import select
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import pytest

from ocattach.backoff import Deadline
from ocattach.errors import RunFailedError
from ocattach.opencode.api import DaemonClient
from ocattach.opencode.attachments import attachment
from ocattach.opencode.endpoint import basic_authorization
from ocattach.opencode.prompts import PromptClient, new_prompt, of_time, time_of
from ocattach.opencode.recovery import Recovery
from ocattach.opencode.sessions import SessionClient
from ocattach.sessions import delivery
from ocattach.sessions.delivery import deliver
from ocattach.sessions.record import Session
from ocattach.sessions.run import RetryingClient, RunObserver
from ocattach.sessions.transcript import Transcript
from ocattach.tunnel.direct import DirectRoute
from ocattach.tunnel.gate import Gate
from ocattach.tunnel.tunnel import Tunnel
from tests.model.server import asked_for
from tests.rigs.http_proxy import splice
from tests.rigs.http_servers import Server, answer, serve
from tests.rigs.waiting import wait_until
from tests.sessions.workshop import Workshop, workshop

LINK = basic_authorization("opencode", "link")
"""The credential of a link."""


@pytest.fixture(scope="module")
def here(opencode_bin: str) -> Iterator[Workshop]:  # noqa: ARG001  it is on the PATH there
    with workshop() as made:
        yield made


class Listener(RunObserver):
    """Notes what a way tells."""

    def __init__(self) -> None:
        self.told: list[str] = []

    def lost(self, _reason: str) -> None:
        self.told.append("lost")

    def found(self) -> None:
        self.told.append("found")


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
    prompt = new_prompt("sent how often?", of_time(session.created) + 1)
    with forgetful_gateway(here.daemon.port, "prompt_async", times=2) as gateway:
        client = DaemonClient(gateway.url, password=here.daemon.password, timeout=60)
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
    prompt, prompts = new_prompt("!slow 1", of_time(session.created) + 1), PromptClient(here.client)

    def send() -> None:
        prompts.send(session.id, prompt)

    at_once = [threading.Thread(target=send) for _ in range(3)]
    for each in at_once:
        each.start()
    for each in at_once:
        each.join()
    here.rests(session)
    send()
    last = here.rests(session).messages[-1].id
    send_another = new_prompt("and now", prompts.next_moment(session.id), model="fake/fake-1")
    prompts.send(session.id, send_another)
    seen = here.rests(session)
    while len(seen.messages) < 4:
        seen = here.rests(session)

    assert send_another.id > max(prompt.id, last)
    assert time_of(send_another.id) == max(time_of(prompt.id), time_of(last)) + 1
    assert [message.text for message in seen.messages] == [
        "!slow 1",
        "w0 w1 w2 w3 w4",
        "and now",
        "You said: and now",
    ]
    assert asked_for(here.machine.model.requests, "!slow 1") == 1


def test_a_prompt_whose_image_cannot_be_decoded_is_not_taken_for_sent(
    here: Workshop, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(delivery, "ARRIVAL_SECONDS", 2)
    session = here.open_session("image")
    image = attachment("torn.png", b"\x89PNG\r\n\x1a\n and then nothing")
    prompt = new_prompt("look", of_time(session.created) + 1, model="fake/fake-2", files=[image])
    client = RetryingClient(here.client, lambda _: here.client, Listener(), deadline=Deadline(60))

    with pytest.raises(RunFailedError, match=r"torn\.png"):
        deliver(client, session.id, prompt)


CUTS = ["unsent", "sent", "answered"]
"""Where the connection of a client's prompt ends: before its request arrives, after that, and in its response."""


@dataclass
class Port:
    """The local port of a link to a daemon, over a connection that can be cut."""

    tunnel: Tunnel
    requests: list[str]

    def send(self, session: Session, path: str, text: str, **more: Any) -> tuple[int, Any]:
        """Send a prompt as a client would that knows nothing of losses: the status and the content."""
        client = http.client.HTTPConnection("127.0.0.1", self.tunnel.port, timeout=60)
        body = {"parts": [{"type": "text", "text": text}, {"type": "text", "text": "and"}], **more}
        client.request("POST", f"/session/{session.id}/{path}", json.dumps(body), {"Authorization": LINK})
        response = client.getresponse()
        content = response.read()
        client.close()
        return response.status, json.loads(content) if content else None


@contextmanager
def port_to(here: Workshop, cut: str, *, times: int = 1) -> Iterator[Port]:
    """A port whose first requests with a prompt lose their connection."""
    left = times

    def behave(connection: socket.socket, server: Server) -> None:
        nonlocal left
        head = server.heads[-1]
        is_cut = head.startswith("POST") and left > 0
        left -= is_cut
        if is_cut and cut == "unsent":
            return
        with socket.create_connection(("127.0.0.1", here.daemon.port)) as there:
            there.sendall(head.encode())
            if not is_cut:
                splice(connection, there, server.gone)
            elif cut == "answered":
                connection.sendall(there.recv(65536)[:20])
            else:
                await_arrival(here, head)

    password = basic_authorization("opencode", here.daemon.password)
    client = DaemonClient(here.daemon.url, password=here.daemon.password, timeout=60)
    with (
        serve(behave) as server,
        Tunnel(
            DirectRoute("127.0.0.1"),
            server.port,
            gate=Gate(LINK, authorization=password),
            recovery=Recovery(lambda: client),
        ) as tunnel,
    ):
        yield Port(tunnel, server.heads)


def await_arrival(here: Workshop, head: str) -> None:
    """Return when the daemon has the prompt of a request."""
    session = head.split("/")[2]
    message = json.loads(head.partition("\r\n\r\n")[2])["messageID"]
    prompts = PromptClient(here.client)
    wait_until(lambda: prompts.find(session, message), "the prompt to arrive")


@pytest.mark.parametrize("cut", CUTS)
@pytest.mark.parametrize("path", ["message", "prompt_async"])
def test_a_clients_prompt_is_there_once_and_answered_although_its_connection_was_lost(
    here: Workshop, path: str, cut: str
) -> None:
    session, text = here.open_session(f"{path} {cut}"), f"!slow 1 {path} {cut}"
    with port_to(here, cut) as port:
        status, content = port.send(session, path, text)

    seen = here.rests(session)
    assert [message.is_answer for message in seen.messages] == [False, True]
    assert asked_for(here.machine.model.requests, f"{text}\nand") == 1
    assert sum(head.startswith("POST") for head in port.requests) == (2 if cut == "unsent" else 1)
    if path == "prompt_async":
        assert (status, content) == (204, None)
        return
    stored = json.loads(PromptClient(here.client).find(session.id, seen.messages[-1].id) or b"")
    assert (status, content["info"]["id"]) == (200, stored["info"]["id"])
    assert content["parts"] == stored["parts"]


@pytest.mark.parametrize("cut", CUTS)
def test_a_message_that_wants_no_reply_is_its_own_answer(here: Workshop, cut: str) -> None:
    session = here.open_session(f"no reply {cut}")
    with port_to(here, cut) as port:
        status, content = port.send(session, "message", "only kept", noReply=True)

    (message,) = SessionClient(here.client).messages(session.id)[0]
    assert (status, content["info"]["id"]) == (200, message["info"]["id"])
    assert [part["text"] for part in message["parts"]] == ["only kept", "and"]


def test_a_run_that_was_aborted_meanwhile_is_not_run_again(here: Workshop) -> None:
    session = here.open_session("aborted")
    answers: list[tuple[int, Any]] = []
    with port_to(here, "sent") as port:
        client = threading.Thread(target=lambda: answers.append(port.send(session, "message", "!slow 30")))
        client.start()
        wait_until(lambda: asked_for(here.machine.model.requests, "!slow 30\nand"), "the model to be asked")
        here.abort(session)
        client.join(30)

    ((status, content),) = answers
    assert (status, content["info"]["error"]["name"]) == (200, "MessageAbortedError")
    assert asked_for(here.machine.model.requests, "!slow 30\nand") == 1


@pytest.mark.parametrize(("parts", "arrived"), [([], False), (["prt_1"], False), (["prt_2", "prt_1"], True)])
def test_a_message_has_arrived_when_all_its_parts_have(parts: list[str], *, arrived: bool) -> None:
    stored = {"info": {"id": "msg_1"}, "parts": [{"id": part} for part in parts]}
    with serve(answer("200 OK", json.dumps(stored))) as server:
        found = PromptClient(DaemonClient(server.url)).find("ses_1", "msg_1", ["prt_1", "prt_2"])

    assert (found is not None) is arrived


def test_a_prompt_to_a_session_that_does_not_exist_is_not_prepared() -> None:
    with serve(answer("404 Not Found", "{}")) as server:
        recovery = Recovery(lambda: DaemonClient(server.url))
        assert recovery.identify("ses_1", b'{"parts": []}', waits=True) is None
    assert len(server.heads) == 1


def test_a_prompt_that_its_client_gave_up_is_not_sent_any_more(here: Workshop) -> None:
    session = here.open_session("given up")
    with port_to(here, "unsent") as port:
        target = port.tunnel.remote_port
        port.tunnel.give_up("It was cut.")
        client = http.client.HTTPConnection("127.0.0.1", port.tunnel.port, timeout=60)
        body = json.dumps({"parts": [{"type": "text", "text": "never mind"}]})
        client.request("POST", f"/session/{session.id}/prompt_async", body, {"Authorization": LINK})
        wait_until(lambda: port.tunnel.active_connections, "the request to be held")
        client.close()
        wait_until(lambda: not port.tunnel.active_connections, "the client to be gone")
        port.tunnel.switch_route(DirectRoute("127.0.0.1"), target)
        assert port.send(session, "prompt_async", "another", noReply=True)[0] == 204
        (message,) = wait_until(lambda: SessionClient(here.client).messages(session.id)[0], "the other")

    assert message["parts"][0]["text"] == "another"


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
