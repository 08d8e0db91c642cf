"""The head of an HTTP request to a gate, and its refusal. The parser is in `requests`, with h11."""

from collections.abc import Sequence
from http import HTTPStatus
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import h11

Header = tuple[bytes, bytes]


class RefusedError(Exception):
    """A request that is not sent on. The client gets the status and the reason, or instead the whole `answer`."""

    def __init__(self, status: HTTPStatus, reason: str, *, answer: bytes = b"") -> None:
        super().__init__(reason)
        self.status = status
        self.reason = reason
        self.answer = answer


class Request:
    """The head of a request. Its headers are read once, here."""

    __slots__ = ("_lines", "_repeated", "fields", "method", "target", "version")

    def __init__(self, parsed: "h11.Request") -> None:
        self.method, self.target, self.version = parsed.method, parsed.target, parsed.http_version
        self.fields: dict[bytes, bytes] = {}
        """The values of its headers by their names in lower case; of a repeated one the last."""
        self._repeated: set[bytes] = set()
        self._lines: list[tuple[bytes, bytes]] = []
        """Each header as it is sent, after its name in lower case."""

        for name, value in parsed.headers.raw_items():
            key = name.lower()
            if key in self.fields:
                self._repeated.add(key)
            self.fields[key] = value
            self._lines.append((key, b"%b: %b" % (name, value)))

    def only(self, name: bytes) -> bytes | None:
        """The value of a header, None without it. Raises RefusedError when it is there more than once."""
        if name in self._repeated:
            raise RefusedError(HTTPStatus.BAD_REQUEST, f"The request has several headers {name.decode()}")
        return self.fields.get(name)

    def encode(self, target: bytes, headers: Sequence[Header], *dropped: bytes) -> bytes:
        """The head as it is sent, with these headers.

        Its own of the same names, which are compared in lower case, and the dropped ones are left out.
        """
        omitted = {*dropped, *(name.lower() for name, _ in headers)}
        lines = [b"%b %b HTTP/%b" % (self.method, target, self.version)]
        lines += [b"%b: %b" % header for header in headers]
        lines += [line for name, line in self._lines if name not in omitted]
        return b"\r\n".join(lines) + b"\r\n\r\n"
