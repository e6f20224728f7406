"""The streams of HTTP/2: how far their two halves are, and what their two windows allow.

RFC 9113 sections 5.1 and 5.2.
"""

from __future__ import annotations

from h2.errors import ErrorCodes

from greenh2._protocol.answer import Answer
from greenh2._protocol.frames import FrameViolation
from greenh2._protocol.machine import MAX_WINDOW, STREAM_WINDOW

#: Streams that are over and remembered.
MAX_REMEMBERED = 1024
#: There is no number for a stream after this one (RFC 9113 section 5.1.1).
LAST_STREAM_ID = 2**31 - 1


class Stream:
    """One open stream."""

    __slots__ = ("answer", "local_done", "receivable", "remote_done", "sendable", "unread")

    def __init__(self, *, to_head: bool, local_done: bool, sendable: int) -> None:
        self.answer = Answer(to_head=to_head)
        self.local_done = local_done
        self.remote_done = False
        #: Bytes that the peer's window takes; negative when the peer has made its windows smaller.
        self.sendable = sendable
        #: Bytes that our window takes.
        self.receivable = STREAM_WINDOW
        #: Bytes that the user has taken, and the peer was not told of.
        self.unread = 0

    def credit(self, cost: int) -> int:
        """Note that the user has taken so much; return by how much the window is to grow now."""
        self.unread += cost
        if self.remote_done or self.unread < STREAM_WINDOW // 2:
            return 0
        increment, self.unread = self.unread, 0
        self.receivable += increment
        return increment


class Streams(dict[int, Stream]):
    """The open streams of one connection by their numbers, and what is remembered of those that are over."""

    __slots__ = ("_answered", "_finished", "next_id")

    def __init__(self) -> None:
        super().__init__()
        self.next_id = 1
        #: Those on which both sides have said their last word; the oldest are forgotten.
        self._finished: dict[int, None] = {}
        #: Those that had begun to be answered when the connection failed.
        self._answered: frozenset[int] = frozenset()

    def begin(self, stream: Stream) -> None:
        """Add a stream by the next number."""
        self[self.next_id] = stream
        self.next_id += 2

    def check_begun(self, stream_id: int) -> None:
        """Raise FrameViolation for a number that no stream has had."""
        if stream_id >= self.next_id or not stream_id % 2:
            raise FrameViolation(ErrorCodes.PROTOCOL_ERROR, f"a frame on idle stream {stream_id}")

    def answered(self, stream_id: int) -> bool:
        """Tell whether the answer of a stream has begun, or had when the connection failed."""
        stream = self.get(stream_id)
        return stream_id in self._answered if stream is None else stream.answer.begun

    def finish(self, stream_id: int) -> None:
        """Both sides have said their last word."""
        del self[stream_id]
        self._finished[stream_id] = None
        if len(self._finished) > MAX_REMEMBERED:
            del self._finished[next(iter(self._finished))]

    def finished(self, stream_id: int) -> bool:
        """Tell whether both sides are known to have said their last word."""
        return stream_id in self._finished

    def resize_windows(self, difference: int) -> None:
        """Change the peer's windows, also below zero (RFC 9113 section 6.9.2).  Raises FrameViolation."""
        for stream in self.values():
            stream.sendable += difference
            if stream.sendable > MAX_WINDOW:
                raise FrameViolation(
                    ErrorCodes.FLOW_CONTROL_ERROR, "SETTINGS made the window of a stream too large"
                )

    def end(self) -> None:
        """End all at once: the connection has failed."""
        self._answered = frozenset(number for number, stream in self.items() if stream.answer.begun)
        self.clear()
