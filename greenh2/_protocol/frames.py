"""The frame splitter: cuts the byte stream of HTTP/2 into frames by their 9-byte headers, before h2 sees them.

It exists because h2 judges a frame only when all of it is there, waits for ever on an HTTP/1.x answer, and ends a
connection on any GOAWAY.  Here an over-long frame is refused from its header (RFC 9113 section 4.2), the first
frame must be SETTINGS (section 3.4), a header block may be neither interrupted nor endless (section 6.10) and comes
out as one frame, and the caller can hold frames back.
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
PRIORITY = 0x20
_PRIORITY_FIELDS = 5
#: What a header block may take on the wire (bytes, frame headers included, so that empty frames count as well).
#: hpack's time grows with the square of this.
MAX_HEADER_BLOCK = 256 * 1024


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
    """Takes bytes in any portions, gives whole frames.

    A header block is given as one HEADERS frame, without padding and priority, however many frames it came in.
    """

    __slots__ = ("_block", "_block_size", "_buffer", "_fragments", "_max_size", "_started")

    def __init__(self, max_frame_size: int) -> None:
        self._buffer = bytearray()
        self._max_size = max_frame_size
        self._started = False
        self._block: Frame | None = None
        self._block_size = 0
        self._fragments: list[bytes] = []

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
                self._started = True
                frame = Frame(kind, flags, stream_id, raw)
                if kind not in (FrameType.HEADERS, FrameType.CONTINUATION):
                    yield frame
                elif (block := self._join(frame)) is not None:
                    yield block
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
        if self._block is None:
            if kind == FrameType.CONTINUATION:
                raise FrameViolation(ErrorCodes.PROTOCOL_ERROR, "CONTINUATION where no header block is open")
        elif kind != FrameType.CONTINUATION or stream_id != self._block.stream_id:
            raise FrameViolation(
                ErrorCodes.PROTOCOL_ERROR,
                f"a frame of type {kind} interrupted the header block of stream {self._block.stream_id}",
            )

    def _join(self, frame: Frame) -> Frame | None:
        """Collect a header block, and return it when it is whole."""
        first = self._block or frame
        self._fragments.append(content(frame))
        self._block_size += len(frame.raw)
        if self._block_size > MAX_HEADER_BLOCK:
            raise FrameViolation(
                ErrorCodes.ENHANCE_YOUR_CALM, f"a header block takes more than {MAX_HEADER_BLOCK} bytes"
            )
        if not frame.flags & END_HEADERS:
            self._block = first
            return None
        flags = END_HEADERS | first.flags & END_STREAM
        raw = frame_bytes(FrameType.HEADERS, flags, first.stream_id, b"".join(self._fragments))
        self._block = None
        self._block_size = 0
        self._fragments.clear()
        return Frame(FrameType.HEADERS, flags, first.stream_id, raw)


def frame_bytes(kind: int, flags: int, stream_id: int, payload: bytes = b"") -> bytes:
    """Return a frame as it stands on the wire."""
    return _HEADER.pack(len(payload) >> 8, len(payload) & 0xFF, kind, flags, stream_id) + payload


def content(frame: Frame) -> bytes:
    """Return what a frame carries, without padding and priority.  Raises FrameViolation (RFC 9113 section 6.1)."""
    if frame.kind == FrameType.CONTINUATION:  # it has neither, whatever its flags
        return frame.payload
    payload = frame.payload
    start = padding = 0
    if frame.flags & PADDED:
        start, padding = 1, int.from_bytes(payload[:1], "big")
    if frame.flags & PRIORITY and frame.kind == FrameType.HEADERS:
        start += _PRIORITY_FIELDS
    if start > len(payload):
        raise FrameViolation(
            ErrorCodes.FRAME_SIZE_ERROR, f"a frame of type {frame.kind} is too short for its flags"
        )
    if start + padding > len(payload):
        raise FrameViolation(
            ErrorCodes.PROTOCOL_ERROR, f"the padding is longer than its frame of type {frame.kind}"
        )
    return payload[start : len(payload) - padding]
