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
#: A number in a payload (bytes).
WORD = 4
ACK = END_STREAM = 0x1
END_HEADERS = 0x4
PADDED = 0x8
PRIORITY = 0x20
_PRIORITY_FIELDS = 5
#: What a header block may take on the wire (bytes, frame headers included, so that empty frames count as well).
#: Nothing else runs while it is decoded, which takes hpack longest where Huffman codes are.
MAX_HEADER_BLOCK = 96 * 1024


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


_HEADERS = int(FrameType.HEADERS)
_CONTINUATION = int(FrameType.CONTINUATION)
#: A HEADERS frame that is its whole block says this of these flags.
_PLAIN_BLOCK = END_HEADERS | PADDED | PRIORITY


class Frame(NamedTuple):
    """One whole frame."""

    kind: int
    flags: int
    stream_id: int
    payload: bytes


class FrameViolation(Exception):
    """The peer broke a rule of framing: the connection must end with this code."""

    def __init__(self, code: ErrorCodes, message: str) -> None:
        super().__init__(message)
        self.code = code


class FrameSplitter:
    """Takes bytes in any portions, gives whole frames.

    A header block is given as one HEADERS frame, without padding and priority, however many frames it came in.
    """

    __slots__ = ("_block", "_block_size", "_buffer", "_fragments", "_max_size", "_needed", "_started")

    def __init__(self, max_frame_size: int) -> None:
        #: What has arrived of a frame that is not whole yet, and how many bytes its next step needs.
        self._buffer = bytearray()
        self._needed = FRAME_HEADER
        self._max_size = max_frame_size
        self._started = False
        self._block: Frame | None = None
        self._block_size = 0
        self._fragments: list[bytes] = []

    @property
    def started(self) -> bool:
        """Whether the peer's SETTINGS have arrived."""
        return self._started

    def may_be_of(self, stream_id: int, *, more: bool) -> bool:
        """Tell whether the bytes that came last may be a part of a frame of this stream that is not whole yet.

        ``more``: others came behind them that cannot be read yet.
        """
        if len(self._buffer) >= FRAME_HEADER:
            return int.from_bytes(self._buffer[5:FRAME_HEADER], "big") & 0x7FFFFFFF == stream_id
        if self._block is not None:
            return self._block.stream_id == stream_id
        return more or bool(self._buffer)

    def feed(self, data: bytes) -> Iterator[Frame]:
        """Yield the frames that are complete now; raises FrameViolation.

        Reads no further than the caller iterates.  What is left over stays for the next call, which must not come
        before this iteration has ended.
        """
        if self._buffer:
            self._buffer += data
            if len(self._buffer) < self._needed:
                return
            data = bytes(self._buffer)
            self._buffer.clear()
        self._needed = FRAME_HEADER
        position = 0
        end = len(data)
        try:
            while end - position >= FRAME_HEADER:
                high, low, kind, flags, stream_id = _HEADER.unpack_from(data, position)
                length = high << 8 | low
                stream_id &= 0x7FFFFFFF
                if length > self._max_size or self._block or kind == _CONTINUATION or not self._started:
                    self._check(data, length, kind, flags, stream_id)
                start = position + FRAME_HEADER
                if end - start < length:
                    self._needed = FRAME_HEADER + length
                    break
                position = start + length
                self._started = True
                frame = Frame(kind, flags, stream_id, data[start:position])
                if kind != _HEADERS and kind != _CONTINUATION:
                    yield frame
                elif (block := self._join(frame)) is not None:
                    yield block
        finally:
            self._buffer += data[position:]

    def _check(self, data: bytes, length: int, kind: int, flags: int, stream_id: int) -> None:
        if not self._started:
            if data.startswith(b"HTTP/"):
                line = data[:64].split(b"\r\n")[0]
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
        if self._block is None and frame.flags & _PLAIN_BLOCK == END_HEADERS:
            return frame
        first = self._block or frame
        self._fragments.append(content(frame))
        self._block_size += FRAME_HEADER + len(frame.payload)
        if self._block_size > MAX_HEADER_BLOCK:
            raise FrameViolation(
                ErrorCodes.ENHANCE_YOUR_CALM, f"a header block takes more than {MAX_HEADER_BLOCK} bytes"
            )
        if not frame.flags & END_HEADERS:
            self._block = first
            return None
        flags = END_HEADERS | first.flags & END_STREAM
        block = b"".join(self._fragments)
        self._block = None
        self._block_size = 0
        self._fragments.clear()
        return Frame(FrameType.HEADERS, flags, first.stream_id, block)


def frame_bytes(kind: int, flags: int, stream_id: int, payload: bytes | memoryview = b"") -> bytes:
    """Return a frame as it stands on the wire."""
    header = _HEADER.pack(len(payload) >> 8, len(payload) & 0xFF, kind, flags, stream_id)
    return b"".join((header, payload))


def header_frames(flags: int, stream_id: int, block: bytes, max_size: int) -> bytes:
    """Return a header block as HEADERS, with CONTINUATION where the peer takes no frame as large as that."""
    if len(block) <= max_size:
        return frame_bytes(_HEADERS, flags | END_HEADERS, stream_id, block)
    parts = [block[start : start + max_size] for start in range(0, len(block), max_size)]
    return b"".join(
        [
            frame_bytes(_HEADERS, flags, stream_id, parts[0]),
            *[frame_bytes(_CONTINUATION, 0, stream_id, part) for part in parts[1:-1]],
            frame_bytes(_CONTINUATION, END_HEADERS, stream_id, parts[-1]),
        ]
    )


def content(frame: Frame) -> bytes:
    """Return what a frame carries, without padding and priority.  Raises FrameViolation (RFC 9113 section 6.1)."""
    payload = frame.payload
    if (
        not frame.flags & (PADDED | PRIORITY) or frame.kind == _CONTINUATION
    ):  # which has neither, whatever its flags
        return payload
    start = padding = 0
    if frame.flags & PADDED:
        start, padding = 1, int.from_bytes(payload[:1], "big")
    if frame.flags & PRIORITY and frame.kind == _HEADERS:
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


def check_size(frame: Frame, size: int) -> None:
    """Raise FrameViolation for a frame whose payload has not the one size that its type allows (bytes)."""
    if len(frame.payload) != size:
        raise FrameViolation(
            ErrorCodes.FRAME_SIZE_ERROR,
            f"a frame of type {frame.kind} has {len(frame.payload)} bytes, not {size}",
        )


def word(frame: Frame) -> int:
    """Return the one number that a frame consists of.  Raises FrameViolation."""
    check_size(frame, WORD)
    return int.from_bytes(frame.payload, "big")
