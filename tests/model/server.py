"""A chat-completions server in OpenAI's form whose answers the last message of the user prescribes.

    python tests/model/server.py [--port 18080]        alone; it needs only the standard library

    !bash COMMAND    a call of the tool bash; after its result: "tool said: RESULT"
    !times N         with a call of a tool: so many calls in a row
    !read PATH       a call of the tool read
    !write PATH      a call of the tool write, content "hello\\n"
    !call TOOL JSON  a call of any tool, with these arguments
    !slow SECONDS    one word every 0.2 s for that long
    !hang            the head of an answer, then nothing
    !long N          N words
    !cut N           N words, after which the limit of output is reached
    !reason N        N tokens of thought, and then none are left for an answer
    !mute            nothing is said, not even after the result of a tool
    !error CODE      the HTTP error CODE
    anything else    "You said: …"

A request without tools, as for a title, gets "Fake title".
"""

import argparse
import itertools
import json
import re
import socket
import sys
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

MODELS = ("fake-1", "fake-2")
WORD_INTERVAL = 0.2
TOOL_CALL_TOKENS = 12

_numbers = itertools.count(1)


@dataclass(frozen=True, slots=True)
class Answer:
    """What the model does: it writes words, calls a tool, fails, or falls silent."""

    words: list[str] = field(default_factory=list)
    tool: str | None = None
    arguments: dict[str, Any] = field(default_factory=dict)
    interval: float = 0
    error: int | None = None
    hangs: bool = False
    reasoning: int = 0
    is_cut: bool = False

    @property
    def finish(self) -> str:
        if self.reasoning or self.is_cut:
            return "length"
        return "tool_calls" if self.tool else "stop"

    @property
    def tokens(self) -> int:
        return TOOL_CALL_TOKENS if self.tool else len(self.words) + self.reasoning

    def tool_calls(self) -> list[dict[str, Any]]:
        function = {"name": self.tool, "arguments": json.dumps(self.arguments)}
        return [{"index": 0, "id": f"call_{next(_numbers)}", "type": "function", "function": function}]


def answer(request: dict[str, Any]) -> Answer:
    """The answer that the messages of a request ask for."""
    messages = request.get("messages", [])
    if not request.get("tools"):
        return Answer(words=["Fake", "title"])
    said = [text_of(message) for message in messages if message.get("role") == "user"]
    script = said[-1] if said else ""
    if error := re.search(r"!error (\d+)", script):
        return Answer(error=int(error[1]))
    if messages and messages[-1].get("role") == "tool":
        times = re.search(r"!times (\d+)", script)
        if times and calls_so_far(messages) < int(times[1]):
            return _tool_call(script) or Answer()
        return (
            Answer()
            if "!mute" in script
            else Answer(words=f"tool said: {text_of(messages[-1]).strip()}".split(" "))
        )
    return _tool_call(script) or _speech(script)


def calls_so_far(messages: list[dict[str, Any]]) -> int:
    """How many calls of tools have a result since the user last said something."""
    since = itertools.takewhile(lambda message: message.get("role") != "user", reversed(messages))
    return sum(message.get("role") == "tool" for message in since)


def _tool_call(script: str) -> Answer | None:
    if bash := re.search(r"!bash (.+)", script):
        command = bash[1].strip().rstrip('"')  # `opencode run` puts the message in quotes
        return Answer(tool="bash", arguments={"command": command, "description": "scripted command"})
    if read := re.search(r"!read (\S+)", script):
        return Answer(tool="read", arguments={"filePath": read[1]})
    if write := re.search(r"!write (\S+)", script):
        return Answer(tool="write", arguments={"filePath": write[1], "content": "hello\n"})
    if call := re.search(r"!call (\w+) (\{.+\})", script):
        return Answer(tool=call[1], arguments=json.loads(call[2]))
    return None


def _speech(script: str) -> Answer:
    if slow := re.search(r"!slow ([\d.]+)", script):
        count = max(1, round(float(slow[1]) / WORD_INTERVAL))
        return Answer(words=[f"w{number}" for number in range(count)], interval=WORD_INTERVAL)
    if "!mute" in script:
        return Answer()
    if reason := re.search(r"!reason (\d+)", script):
        return Answer(reasoning=int(reason[1]))
    if "!hang" in script:
        return Answer(hangs=True)
    if long := re.search(r"!(long|cut) (\d+)", script):
        words = [f"word{number}" for number in range(int(long[2]))]
        return Answer(words=words, is_cut=long[1] == "cut")
    return Answer(words=f"You said: {script.strip()}".split(" "))


def text_of(message: dict[str, Any]) -> str:
    """The text of a message, whose content is a string or a list of parts."""
    content = message.get("content") or ""
    if isinstance(content, str):
        return content
    return "\n".join(part.get("text", "") for part in content)


def asked_for(requests: list[dict[str, Any]], text: str) -> int:
    """How many of the requests are for the first answer to what a user said; titles are none."""
    return sum(
        text_of(request["messages"][-1]).strip() == text and request["messages"][-1]["role"] == "user"
        for request in requests
        if request.get("tools") and request.get("messages")
    )


class ModelServer(ThreadingHTTPServer):
    """Serves the scripted model on a socket that already listens, wherever that was made."""

    daemon_threads = True

    def __init__(self, listener: socket.socket) -> None:
        super().__init__(listener.getsockname(), Handler, bind_and_activate=False)
        self.socket.close()
        self.socket = listener
        self.server_port = listener.getsockname()[1]
        self.requests: list[dict[str, Any]] = []
        """The chat requests so far, as they came."""
        self.stopping = threading.Event()

    def handle_error(self, request: object, client_address: object) -> None:
        """Say nothing of clients that went away: killed daemons are what the tests are about."""
        if not isinstance(sys.exception(), ConnectionError):
            super().handle_error(request, client_address)  # type: ignore[arg-type]


class Handler(BaseHTTPRequestHandler):
    """One connection."""

    server: ModelServer
    protocol_version = "HTTP/1.1"

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002
        """Be silent: the requests are kept for whoever wants to see them."""

    def do_GET(self) -> None:
        if self.path.rstrip("/").endswith("/models"):
            models = [{"id": name, "object": "model"} for name in MODELS]
            self._send_json(200, {"object": "list", "data": models})
        elif self.path == "/health":
            self._send_json(200, {"ok": True})
        else:
            self._send_error_body(404, "not found")

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        if not self.path.endswith("/chat/completions"):
            self._send_error_body(404, "not found")
            return
        request = json.loads(body)
        self.server.requests.append(request)
        scripted = answer(request)
        if scripted.error:
            self._send_error_body(scripted.error, f"scripted error {scripted.error}")
        elif request.get("stream"):
            self._stream(request, scripted)
        else:
            self._send_json(200, _completion(request, scripted))

    def _stream(self, request: dict[str, Any], scripted: Answer) -> None:
        self.send_response(200)
        self.send_header("Content-Type", "text/event-stream")
        self.send_header("Connection", "close")
        self.end_headers()
        self.close_connection = True
        for event in _events(request, scripted):
            self._write_event(json.dumps(event))
            if scripted.hangs:
                self.server.stopping.wait()
                return
            self.server.stopping.wait(scripted.interval)
        self._write_event("[DONE]")

    def _write_event(self, data: str) -> None:
        self.wfile.write(f"data: {data}\n\n".encode())
        self.wfile.flush()

    def _send_error_body(self, code: int, message: str) -> None:
        self._send_json(code, {"error": {"message": message, "type": "scripted", "code": str(code)}})

    def _send_json(self, code: int, document: dict[str, Any]) -> None:
        body = json.dumps(document).encode()
        self.send_response(code)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)


def _head(request: dict[str, Any], kind: str) -> dict[str, Any]:
    number = next(_numbers)
    model = request.get("model", MODELS[0])
    return {"id": f"chatcmpl-{number}", "object": kind, "created": int(time.time()), "model": model}


def _usage(request: dict[str, Any], scripted: Answer) -> dict[str, Any]:
    read = sum(len(text_of(message).split()) for message in request.get("messages", []))
    return {
        "prompt_tokens": read,
        "completion_tokens": scripted.tokens,
        "total_tokens": read + scripted.tokens,
        "completion_tokens_details": {"reasoning_tokens": scripted.reasoning},
    }


def _completion(request: dict[str, Any], scripted: Answer) -> dict[str, Any]:
    message: dict[str, Any] = {"role": "assistant", "content": " ".join(scripted.words) or None}
    if scripted.tool:
        message["tool_calls"] = scripted.tool_calls()
    choice = {"index": 0, "message": message, "finish_reason": scripted.finish}
    head = _head(request, "chat.completion")
    return {**head, "choices": [choice], "usage": _usage(request, scripted)}


def _events(request: dict[str, Any], scripted: Answer) -> Iterator[dict[str, Any]]:
    """The same answer in pieces; the usage comes last, with no choice."""
    head = _head(request, "chat.completion.chunk")

    def piece(delta: dict[str, Any], finish: str | None = None) -> dict[str, Any]:
        return {**head, "choices": [{"index": 0, "delta": delta, "finish_reason": finish}]}

    yield piece({"role": "assistant", "content": ""})
    if scripted.tool:
        yield piece({"tool_calls": scripted.tool_calls()})
    if scripted.reasoning:
        yield piece({"reasoning_content": "thought " * scripted.reasoning})
    for position, word in enumerate(scripted.words):
        yield piece({"content": word if position == 0 else f" {word}"})
    yield piece({}, scripted.finish)
    yield {**head, "choices": [], "usage": _usage(request, scripted)}


def main() -> None:
    """Serve until interrupted."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--port", type=int, default=18080)
    listener = socket.create_server(("127.0.0.1", parser.parse_args().port))
    with ModelServer(listener) as server:
        print(f"listening on http://127.0.0.1:{server.server_port}/v1", flush=True)  # noqa: T201
        server.serve_forever()


if __name__ == "__main__":
    main()
