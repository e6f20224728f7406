"""GOAWAY and RST_STREAM: what a server says when it takes no more streams, or ends one (RFC 9113, 6.8 and 6.4)."""

from __future__ import annotations

from typing import NamedTuple

from h2.errors import ErrorCodes

from greenh2._errors import RemoteProtocolError
from greenh2._protocol.frames import Frame, FrameViolation

_FIXED_PART = 8
#: What is kept of the server's explanation (bytes).
_MAX_DEBUG = 256


class Goaway(NamedTuple):
    """Streams above ``last_id`` were not processed and never will be."""

    last_id: int
    code: int
    debug: bytes

    @classmethod
    def parse(cls, frame: Frame) -> Goaway:
        """Read the frame; raises FrameViolation."""
        payload = frame.payload
        if frame.stream_id:
            raise FrameViolation(ErrorCodes.PROTOCOL_ERROR, f"GOAWAY on stream {frame.stream_id}")
        if len(payload) < _FIXED_PART:
            raise FrameViolation(ErrorCodes.FRAME_SIZE_ERROR, f"GOAWAY of {len(payload)} bytes")
        return cls(
            last_id=int.from_bytes(payload[:4], "big") & 0x7FFFFFFF,
            code=int.from_bytes(payload[4:_FIXED_PART], "big"),
            debug=payload[_FIXED_PART : _FIXED_PART + _MAX_DEBUG],
        )

    def after(self, earlier: Goaway | None) -> Goaway:
        """Return what this one and an earlier one say together; raises FrameViolation if that cannot be."""
        if earlier is None:
            return self
        if self.last_id > earlier.last_id:
            raise FrameViolation(ErrorCodes.PROTOCOL_ERROR, "a second GOAWAY raised the last stream id")
        return Goaway(self.last_id, self.code or earlier.code, earlier.debug or self.debug)

    def refusal(self, origin: str, stream_id: int) -> RemoteProtocolError:
        """Return the error for a stream that was not processed."""
        return RemoteProtocolError(
            f"{origin} did not process stream {stream_id}: {self}",
            unprocessed=True,
            http11_required=self.code == ErrorCodes.HTTP_1_1_REQUIRED,
            moved=not self.code,
        )

    def __str__(self) -> str:
        said = f", {self.debug!r}" if self.debug else ""
        return f"GOAWAY {_name(self.code)}, last stream {self.last_id}{said}"


def reset_error(origin: str, stream_id: int, code: int) -> RemoteProtocolError:
    """Return the error for a stream that the server has reset."""
    return RemoteProtocolError(
        f"{origin} reset stream {stream_id}: {_name(code)}",
        unprocessed=code == ErrorCodes.REFUSED_STREAM,
        http11_required=code == ErrorCodes.HTTP_1_1_REQUIRED,
    )


def _name(code: int) -> str:
    """Return an error code for people."""
    try:
        return ErrorCodes(code).name
    except ValueError:
        return f"code {code:#x}"
