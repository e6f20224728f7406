"""The frame splitter: cuts the byte stream of HTTP/2 into frames by their 9-byte headers, before h2 sees them.

It exists because h2 judges a frame only when all of it is there, waits for ever on an HTTP/1.x answer, and ends a
connection on any GOAWAY.  Here an over-long frame is refused from its header (RFC 9113 section 4.2), the first
frame must be SETTINGS (section 3.4), a header block may not be interrupted (section 6.10), and the caller can
hold frames back.
"""

from __future__ import annotations

from collections.abc import Iterator
from enum import IntEnum
from struct import Struct
from typing import NamedTuple

from h2.errors import ErrorCodes

_HEADER = Struct("!HBBBL")
FRAME_HEADER = 9
ACK = END_STREAM = 0x1
END_HEADERS = 0x4
PADDED = 0x8


class FrameType(IntEnum):
    DATA = 0
    HEADERS = 1
    PRIORITY = 2
    RST_STREAM = 3
    SETTINGS = 4
    PUSH_PROMISE = 5
    PING = 6
    GOAWAY = 7
    WINDOW_UPDATE = 8
    CONTINUATION = 9


class Frame(NamedTuple):
    """One whole frame; ``raw`` includes its header."""

    kind: int
    flags: int
    stream_id: int
    raw: bytes

    @property
    def payload(self) -> bytes:
        return self.raw[FRAME_HEADER:]


class FrameViolation(Exception):
    """The peer broke a rule of framing: the connection must end with this code."""

    def __init__(self, code: ErrorCodes, message: str) -> None:
        super().__init__(message)
        self.code = code


class FrameSplitter:
    """Takes bytes in any portions, gives whole frames."""

    __slots__ = ("_block", "_buffer", "_max_size", "_started")

    def __init__(self, max_frame_size: int) -> None:
        self._buffer = bytearray()
        self._max_size = max_frame_size
        self._started = False
        self._block = 0

    @property
    def started(self) -> bool:
        """Whether the peer's SETTINGS have arrived."""
        return self._started

    def feed(self, data: bytes) -> Iterator[Frame]:
        """Yield the frames that are complete now; raises FrameViolation.

        Reads no further than the caller iterates; what is left over stays for the next call.
        """
        buffer = self._buffer
        buffer += data
        position = 0
        end = len(buffer)
        try:
            while end - position >= FRAME_HEADER:
                high, low, kind, flags, stream_id = _HEADER.unpack_from(buffer, position)
                length = high << 8 | low
                stream_id &= 0x7FFFFFFF
                self._check(length, kind, flags, stream_id)
                if end - position < FRAME_HEADER + length:
                    break
                raw = bytes(buffer[position : position + FRAME_HEADER + length])
                position += FRAME_HEADER + length
                self._advance(kind, flags, stream_id)
                yield Frame(kind, flags, stream_id, raw)
        finally:
            del buffer[:position]

    def _check(self, length: int, kind: int, flags: int, stream_id: int) -> None:
        if not self._started:
            if self._buffer.startswith(b"HTTP/"):
                line = bytes(self._buffer[:64]).split(b"\r\n")[0]
                raise FrameViolation(
                    ErrorCodes.HTTP_1_1_REQUIRED, f"the server answered in HTTP/1.x, not HTTP/2: {line!r}"
                )
            if kind != FrameType.SETTINGS or flags & ACK:
                raise FrameViolation(
                    ErrorCodes.PROTOCOL_ERROR,
                    f"the server's first frame was of type {kind}, not SETTINGS (RFC 9113 section 3.4)",
                )
        if length > self._max_size:
            raise FrameViolation(
                ErrorCodes.FRAME_SIZE_ERROR,
                f"a frame of {length} bytes was announced; at most {self._max_size} are allowed",
            )
        if self._block and (kind != FrameType.CONTINUATION or stream_id != self._block):
            raise FrameViolation(
                ErrorCodes.PROTOCOL_ERROR, f"a frame of type {kind} interrupted the header block of stream {self._block}"
            )

    def _advance(self, kind: int, flags: int, stream_id: int) -> None:
        self._started = True
        if kind in (FrameType.HEADERS, FrameType.CONTINUATION):
            self._block = 0 if flags & END_HEADERS else stream_id


def data_length(frame: Frame) -> int:
    """Return how many bytes of a DATA frame are data, without padding."""
    length = len(frame.raw) - FRAME_HEADER
    if frame.flags & PADDED and length:
        return length - 1 - frame.raw[FRAME_HEADER]
    return length


def end_stream_set(frame: Frame) -> bytes:
    """Return the frame's bytes with END_STREAM set."""
    raw = bytearray(frame.raw)
    raw[4] |= END_STREAM
    return bytes(raw)
