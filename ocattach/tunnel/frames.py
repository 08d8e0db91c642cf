"""The wire protocol between a tunnel and its relay: a banner, then frames. Bytes in, frames out; no I/O.

A frame is a header (type u8, stream u32, payload length u32, big endian) and its payload:

    OPEN     near   port u16 and host in UTF-8: connect to it; the near end chooses the stream's number; the
                    host * is the loopback, whichever account listens there
    OPENED   far    empty: connected; the near end sends DATA only after this
    DATA     both   1 to 65536 bytes, no more than the receiver's credit allows
    WINDOW   both   u32: bytes passed on, by which the sender's credit grows
    EOF      both   empty: no DATA follows in this direction; a stream ended both ways is forgotten
    RESET    both   a short reason such as `ECONNREFUSED`: forget the stream, in both directions, at once
    PING     near   up to 64 bytes, stream 0, answered at once by PONG with the same bytes
    PONG     far

Each direction of a stream begins with a credit of 256 KiB. The near end makes both larger where the relay is far away:
its WINDOW frames grant more than was passed on, and it sends more than the relay has granted, up to 4 MiB under way.
Frames for an unknown stream are ignored: they were sent before it was reset.
"""

import struct
from enum import IntEnum
from typing import NamedTuple

from ocattach.errors import ConnectionLostError

PROTOCOL_VERSION = 1
BANNER_START = b"\0ocattach-relay "
NOISE_LIMIT = 64 * 1024
"""The maximum output of a shell before the banner, in bytes."""

DATA_LIMIT = 64 * 1024
"""The largest payload of a frame, in bytes."""

INITIAL_CREDIT = 256 * 1024
"""Bytes that each side may send on a new stream before it is granted more."""

GRANT_SIZE = 64 * 1024
"""Bytes passed on before they are granted again; each grant costs a frame."""

_HEADER = struct.Struct(">BII")
_PORT = struct.Struct(">H")
_CREDIT = struct.Struct(">I")
_VERSION_LIMIT = 16


class FrameType(IntEnum):
    """The types of frames."""

    OPEN = 1
    OPENED = 2
    DATA = 3
    WINDOW = 4
    EOF = 5
    RESET = 6
    PING = 7
    PONG = 8


_SIZES = {
    FrameType.OPEN: range(3, 258),
    FrameType.OPENED: range(1),
    FrameType.DATA: range(1, DATA_LIMIT + 1),
    FrameType.WINDOW: range(_CREDIT.size, _CREDIT.size + 1),
    FrameType.EOF: range(1),
    FrameType.RESET: range(65),
    FrameType.PING: range(65),
    FrameType.PONG: range(65),
}


class Frame(NamedTuple):
    """A message about one stream."""

    type: FrameType
    stream: int
    payload: bytes = b""

    @property
    def credit(self) -> int:
        """The bytes that a WINDOW frame grants."""
        credit: int = _CREDIT.unpack(self.payload)[0]
        return credit

    @property
    def reason(self) -> str:
        """The reason in a RESET frame."""
        return self.payload.decode("ascii", "replace")


def header(kind: FrameType, stream: int, size: int) -> bytes:
    """Return the header of a frame with `size` bytes of payload."""
    return _HEADER.pack(kind, stream, size)


def encode(frame: Frame) -> bytes:
    """Return a frame's bytes; the inverse of `Decoder`."""
    return header(frame.type, frame.stream, len(frame.payload)) + frame.payload


def open_frame(stream: int, host: str, port: int) -> Frame:
    """Return a frame that requests a connection to a port in the environment."""
    return Frame(FrameType.OPEN, stream, _PORT.pack(port) + host.encode())


def window_frame(stream: int, credit: int) -> Frame:
    """Return a frame that grants `credit` more bytes."""
    return Frame(FrameType.WINDOW, stream, _CREDIT.pack(credit))


class Decoder:
    """Decodes frames from bytes split anywhere.

    Buffers at most one incomplete frame, and copies each byte a constant number of times however small the pieces.
    """

    def __init__(self) -> None:
        self._pieces: list[bytes] = []
        self._size = 0
        self._needed = _HEADER.size

    def feed(self, data: bytes) -> list[Frame]:
        """Return the frames that are complete now.

        Raises ConnectionLostError for malformed frames; the decoder cannot be used after that.
        """
        self._pieces.append(data)
        self._size += len(data)
        if self._size < self._needed:
            return []
        block = b"".join(self._pieces) if len(self._pieces) > 1 else data
        frames = []
        position = 0
        while True:
            end = position + _HEADER.size
            if end <= len(block):
                kind, stream, length = _parse_header(block, position)
                end += length
            if end > len(block):
                break
            frames.append(Frame(kind, stream, block[end - length : end]))
            position = end
        self._pieces = [block[position:]] if position < len(block) else []
        self._size = len(block) - position
        self._needed = end - position
        return frames


def _parse_header(block: bytes, position: int) -> tuple[FrameType, int, int]:
    number, stream, length = _HEADER.unpack_from(block, position)
    if number not in FrameType._value2member_map_:
        raise ConnectionLostError(f"The relay sent a frame of an unknown type, {number}.")
    kind = FrameType(number)
    if length not in _SIZES[kind]:
        raise ConnectionLostError(f"The relay sent a frame of type {kind.name} with {length} bytes.")
    return kind, stream, length


class BannerFinder:
    """Skips a shell's output before the relay's banner, and reads the protocol version in it."""

    def __init__(self) -> None:
        self._seen = bytearray()
        self._searched = 0

    @property
    def noise(self) -> str:
        """The output without a banner, which shows what ran instead of the relay."""
        return bytes(self._seen[:1024]).decode("utf-8", "replace").strip()

    def feed(self, data: bytes) -> bytes | None:
        """Return what follows the banner once that is complete, else None.

        Raises ConnectionLostError when there is too much output before the banner, or its version is not ours.
        """
        self._seen += data
        start = self._seen.find(BANNER_START, self._searched)
        noise = start if start >= 0 else len(self._seen) - len(BANNER_START) + 1
        if noise > NOISE_LIMIT:
            raise ConnectionLostError(
                f"The relay did not announce itself within {NOISE_LIMIT // 1024} KiB of output."
            )
        if start < 0:
            self._searched = max(0, noise)
            return None
        self._searched = start
        version, newline, rest = bytes(self._seen[start + len(BANNER_START) :]).partition(b"\n")
        if len(version) > _VERSION_LIMIT or (newline and version != b"%d" % PROTOCOL_VERSION):
            spoken = ascii(version[:_VERSION_LIMIT].decode("ascii", "replace"))
            raise ConnectionLostError(
                f"The relay speaks version {spoken} of the protocol, this ocattach speaks {PROTOCOL_VERSION}."
            )
        return rest if newline else None
