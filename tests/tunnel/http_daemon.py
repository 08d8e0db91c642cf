"""A small HTTP server that stands for the daemon behind a gate, and writes down what it is asked."""

import http.server
import socket
import threading
from email.message import Message
from types import TracebackType
from typing import NamedTuple, Self


class Request(NamedTuple):
    """What arrived."""

    command: str
    path: str
    headers: Message
    body: bytes


class Handler(http.server.BaseHTTPRequestHandler):
    """One client's connection."""

    protocol_version = "HTTP/1.1"
    server: "Server"

    def handle_any(self) -> None:
        body = self.read_body()
        recorder = self.server.recorder
        recorder.requests.append(Request(self.command, self.path, self.headers, body))
        recorder.connections.add(self.connection)
        if recorder.hang_ups:
            recorder.hang_ups -= 1
            self.close_connection = True
            return
        if self.path == "/upgrade":
            self.echo()
            return
        self.send_response(recorder.status)
        self.send_header("Content-Length", "0")
        self.end_headers()

    do_GET = do_HEAD = do_POST = do_OPTIONS = handle_any  # noqa: N815 - http.server's names

    def read_body(self) -> bytes:
        if self.headers["Transfer-Encoding"] is None:
            return self.rfile.read(int(self.headers["Content-Length"] or 0))
        body = b""
        while size := int(self.rfile.readline().partition(b";")[0], 16):
            body += self.rfile.read(size)
            self.rfile.readline()
        while self.rfile.readline().strip():
            continue
        return body

    def echo(self) -> None:
        self.send_response(101)
        self.end_headers()
        while data := self.connection.recv(65536):
            self.wfile.write(data)
        self.close_connection = True

    def log_message(self, *_: object) -> None:
        return


class Server(http.server.ThreadingHTTPServer):
    """Forgives clients that hang up."""

    recorder: "HTTPRecorder"

    def handle_error(self, *_: object) -> None:
        return


class HTTPRecorder:
    """Answers everything with `status`, and /upgrade by becoming an echo."""

    def __init__(self) -> None:
        self.requests: list[Request] = []
        self.status = 200
        self.connections: set[socket.socket] = set()
        self.hang_ups = 0
        """How many requests are answered with nothing but the end of the connection."""

        self._server = Server(("127.0.0.1", 0), Handler)
        self._server.recorder = self
        self._thread = threading.Thread(target=self._server.serve_forever)

    def close_connections(self) -> None:
        """End the connections of all clients."""
        for connection in self.connections:
            connection.shutdown(socket.SHUT_RDWR)
        self.connections.clear()

    @property
    def port(self) -> int:
        return self._server.server_port

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()
