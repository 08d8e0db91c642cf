"""The wire between the near end of a tunnel and its relay: a banner, then frames. Bytes in, frames out; no I/O.

A frame is a header (type u8, stream u32, payload length u32, big endian) and its payload:

    OPEN     near   port u16 and host in UTF-8: connect to it; the stream's number is the near end's choice
    OPENED   far    empty: it is connected; the near end sends DATA only after this
    DATA     both   1 to 65536 bytes, no more than the receiver's credit allows
    WINDOW   both   u32: so many bytes were passed on, and as many more may be sent
    EOF      both   empty: no DATA will follow in this direction; what has ended both ways is forgotten
    RESET    both   a short reason such as `ECONNREFUSED`: forget the stream, in both directions, at once
    PING     near   up to 64 bytes, stream 0, answered at once by PONG with the same bytes
    PONG     far

Each direction of a stream begins with a credit of 256 KiB.
Frames for a stream that is not known are ignored: they were under way when it was reset.
"""

import struct
from enum import IntEnum
from typing import NamedTuple

from ocattach.errors import ConnectionLostError

PROTOCOL_VERSION = 1
BANNER_START = b"\0ocattach-relay "
NOISE_LIMIT = 64 * 1024
"""How much may come before the banner from a chatty shell, in bytes."""

DATA_LIMIT = 64 * 1024
"""The largest payload of a frame, in bytes."""

INITIAL_CREDIT = 256 * 1024
"""What either side may send on a new stream before it is granted more, in bytes."""

GRANT_SIZE = 64 * 1024
"""How much must have been passed on before it is granted again, in bytes; every grant costs a frame."""

_HEADER = struct.Struct(">BII")
_PORT = struct.Struct(">H")
_CREDIT = struct.Struct(">I")
_VERSION_LIMIT = 16


class FrameType(IntEnum):
    """What a frame says."""

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
    """One message about one stream."""

    type: FrameType
    stream: int
    payload: bytes = b""

    @property
    def credit(self) -> int:
        """What a WINDOW frame grants, in bytes."""
        credit: int = _CREDIT.unpack(self.payload)[0]
        return credit

    @property
    def reason(self) -> str:
        """Why a RESET frame was sent."""
        return self.payload.decode("ascii", "replace")


def header(kind: FrameType, stream: int, size: int) -> bytes:
    """What stands before a payload of `size` bytes."""
    return _HEADER.pack(kind, stream, size)


def encode(frame: Frame) -> bytes:
    """The frame as it travels; the inverse of `Decoder`."""
    return header(frame.type, frame.stream, len(frame.payload)) + frame.payload


def open_frame(stream: int, host: str, port: int) -> Frame:
    """Ask for a connection to a port of the environment."""
    return Frame(FrameType.OPEN, stream, _PORT.pack(port) + host.encode())


def window_frame(stream: int, credit: int) -> Frame:
    """Grant `credit` more bytes."""
    return Frame(FrameType.WINDOW, stream, _CREDIT.pack(credit))


class Decoder:
    """Frames out of bytes that arrive in any split.

    Holds back at most one incomplete frame, and copies each byte a fixed number of times however small the pieces are.
    """

    def __init__(self) -> None:
        self._pieces: list[bytes] = []
        self._size = 0
        self._needed = _HEADER.size

    def feed(self, data: bytes) -> list[Frame]:
        """The frames that are complete now.

        Raises ConnectionLostError when the bytes are no frames; nothing can be decoded after that.
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
    """Skips what a shell prints before the relay's first line, and reads the protocol version there."""

    def __init__(self) -> None:
        self._seen = bytearray()
        self._searched = 0

    @property
    def noise(self) -> str:
        """What came and is no banner, as a hint to what ran in the relay's place."""
        return bytes(self._seen[:1024]).decode("utf-8", "replace").strip()

    def feed(self, data: bytes) -> bytes | None:
        """What follows the banner, once it is complete; None before that.

        Raises ConnectionLostError when there is too much that is no banner, or its version is not ours.
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
