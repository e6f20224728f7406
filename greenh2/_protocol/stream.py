"""A stream of HTTP/2: how far its two halves are, and what its two windows allow (RFC 9113 sections 5.1 and 5.2)."""

from __future__ import annotations

from greenh2._protocol.answer import Answer
from greenh2._protocol.machine import STREAM_WINDOW


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
