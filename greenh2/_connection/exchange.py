"""An exchange: one request and its response on one connection, owned by one greenlet at a time, ending exactly once.

It is made by reserving a place.  `send` puts the request on its way and waits for the head of the response; `read`
pulls the body.  A request's body that is still being sent when the answer begins is sent on from `read`, in the same
greenlet.  Each exchange waits at its own bell with its own timer, so no other exchange can shorten or stretch it.
"""

from __future__ import annotations

import copy
from collections import deque
from collections.abc import Iterator
from time import monotonic
from typing import TYPE_CHECKING, Protocol

import gevent

from greenh2._errors import (
    LocalProtocolError,
    ReadError,
    ServerDisconnected,
    StreamClosed,
    StreamError,
    TransportError,
)
from greenh2._models.body import finish
from greenh2._models.timeouts import Deadline, Phase
from greenh2._net.bell import Bell
from greenh2._protocol.events import Fields, RequestHead, ResponseHead

if TYPE_CHECKING:
    from greenh2._connection.connection import Connection


#: What waits to be read in pieces smaller than this is joined, so that a body of single bytes takes no more memory than
#: its window allows (bytes).
_SMALL = 1024


class Upload(Protocol):
    """What is used of a request's body."""

    length: int | None

    def chunks(self) -> Iterator[bytes]: ...
    def close(self) -> None: ...


class Keeper(Protocol):
    """Who has a place, for reports and for the search of deadlocks."""

    def take(self) -> None:
        """Note that it is the present greenlet from now on."""


class Exchange:
    """A place on a connection.  Whoever gets one must `close` it; closing twice does no harm."""

    __slots__ = (
        "__weakref__",
        "_awaits_head",
        "_bell",
        "_body",
        "_chunks",
        "_closed",
        "_complete",
        "_connection",
        "_declared",
        "_delayed",
        "_departs_at",
        "_encouraged",
        "_error",
        "_inbox",
        "_piece",
        "_sent",
        "_spared",
        "head",
        "holder",
        "reused",
        "stream_id",
        "trailers",
    )

    def __init__(self, connection: Connection, *, reused: bool) -> None:
        self._connection = connection
        self._bell = Bell()
        self._inbox: deque[tuple[bytes, int]] = deque()
        self._error: TransportError | None = None
        self._complete = False
        self._closed = False
        self._body: Upload | None = None
        self._chunks: Iterator[bytes] | None = None
        self._piece = memoryview(b"")
        self._awaits_head = True
        self._sent = 0
        self._declared: int | None = None
        self._delayed = False
        self._spared = False
        self._departs_at = 0
        self._encouraged = 0.0
        self.reused = reused
        self.stream_id = 0
        self.head: ResponseHead | None = None
        self.trailers: Fields = []
        #: Who holds the place: whoever made the request, and then whoever reads; set by the pool.
        self.holder: Keeper | None = None

    @property
    def connection(self) -> Connection:
        return self._connection

    @property
    def awaited(self) -> bool:
        """Whether a greenlet is waiting for this exchange at this moment."""
        return self._bell.awaited

    @property
    def over(self) -> bool:
        """Whether the place has been given back, by `close` or because the whole response has arrived."""
        return self._closed or self._complete or self._error is not None

    # -- the user's side: may switch greenlets -----------------------------------------------------------------

    def send(self, head: RequestHead, body: Upload, declared: int | None, deadline: Deadline) -> ResponseHead:
        """Send the request and return the head of the response.

        Raises the error that ended the stream, a timeout of this request's own, or what the body's iterator raises.
        The caller closes the exchange on any error.
        """
        end = body.length == 0
        self._connection.begin(self, head, end=end)
        if not end:
            self._chunks = body.chunks()
            self._body, self._declared = body, declared
        while self.head is None:
            self._raise_if_failed()
            self._advance(deadline)
        self._awaits_head = False
        if self.head.status >= 300 or self._complete:
            self._stop_upload()
        return self.head

    def read(self, deadline: Deadline) -> bytes:
        """Return what has arrived of the body, waiting for some; ``b""`` at its end.

        Raises as `send` does, and StreamError in another native thread than that of the request while more is to come.
        """
        if not self.over and self._connection.foreign:
            raise StreamError("the body arrives in another native thread: read it where the request was made")
        if self.holder is not None:
            self.holder.take()
        while not self._inbox:
            if self._complete and not self._closed:
                self._stop_upload()
                return b""
            self._raise_if_failed()
            self._advance(deadline)
        if not self._complete:
            self._check_total(deadline)
        inbox = self._inbox
        if len(inbox) == 1:
            data, cost = inbox.popleft()
        else:
            data, cost = b"".join([item[0] for item in inbox]), sum([item[1] for item in inbox])
            inbox.clear()
        if not self._complete:
            self._connection.consumed(self.stream_id, cost)
        return data

    def take_whole(self) -> bytes | None:
        """Return all of the body that was not read yet if the response is complete, else None.  Never waits."""
        if not self._complete or self._closed:
            return None
        return b"".join([item[0] for item in self._inbox])

    def close(self) -> None:
        """Give the place back, ending the stream if it is not over.  Does not wait, and may be called from anywhere.

        In another native thread it is done by the hub of this one, soon.

        Last of all the request's body is closed, which may run a generator's ``finally``.
        """
        if self._closed:
            return
        if not self.over and self._connection.foreign:
            self._connection.leave_soon(self)
            return
        self._closed = True
        self._inbox.clear()
        self._bell.ring()  # another greenlet may be reading
        self._connection.leave(self)
        self._stop_upload()

    def close_in_loop(self) -> None:
        """Close in a callback of the loop, where nothing may wait; the request's body is closed in a greenlet."""
        body, chunks, self._body = self._body, self._chunks, None
        self._end_upload()
        self.close()
        if body is not None:
            gevent.spawn(_close_body, body, chunks)

    def _raise_if_failed(self) -> None:
        if self._error is not None:
            raise self._error
        if self._closed:
            raise StreamClosed("the response was closed before it was read to its end")
        if self._connection.orphaned:
            origin = self._connection.route.origin
            raise ReadError(
                f"the process was forked, or the hub destroyed, in which the request to {origin} was made"
            )

    def _advance(self, deadline: Deadline) -> None:
        """Send a piece of the body if that is possible; else wait until anything has changed for this exchange."""
        if self._chunks is not None:
            self._check_total(deadline)
            if self._send_piece():
                return
        channel = self._connection.channel
        since, held_up, caught_up = monotonic(), False, False
        while not self._has_news():
            if held_up or self._delayed:  # by the kernel: slow is not stalled
                since = max(since, channel.progressed)
                self._delayed = self._delayed and channel.taken < self._departs_at
            phase: Phase = "read" if self._chunks is None and not self._delayed else "write"
            if phase == "read":
                since = max(since, self._encouraged)
            held_up = self._chunks is not None and self._connection.congested
            left = _left(deadline, phase, since)
            if left is None or left > 0:
                self._bell.wait(left)
                caught_up = False
            elif not caught_up:
                self._connection.catch_up()
                caught_up = True
                if phase == "read":  # looked at no sooner: of most answers nothing is ever late
                    since = max(since, self._connection.heard(self.stream_id))
            else:
                self._connection.distrust(since)
                raise deadline.error(phase, self._stalled(phase, monotonic() - since))

    def _check_total(self, deadline: Deadline) -> None:
        """Raise when the total is over though there is progress; spare, once, what came while the loop stood."""
        if not deadline.exceeded():
            return
        if self._spared:
            phase: Phase = "read" if self._chunks is None else "write"
            raise deadline.error(phase, f"{self._connection.route.origin} was not done in time")
        self._spared = True
        self._connection.catch_up()

    def _has_news(self) -> bool:
        if self._inbox or self._complete or self._error is not None or self._closed:
            return True
        if self._awaits_head and self.head is not None:
            return True
        return self._chunks is not None and self._may_send()

    def _stalled(self, phase: Phase, seconds: float) -> str:
        what = "took nothing of the request" if phase == "write" else "sent nothing"
        if phase == "read" and self.head is None:
            what = "did not answer"
        return f"{self._connection.route.origin} {what} for {seconds:.3g} s"

    # -- sending the body ------------------------------------------------------------------------------------

    def _may_send(self) -> bool:
        return self._connection.sendable(self.stream_id) > 0

    def _send_piece(self) -> bool:
        """Send one piece; False when the peer or the kernel takes nothing now."""
        if not self._piece and not self._fetch():
            return True
        room = self._connection.sendable(self.stream_id)
        if not room:
            return False
        piece, self._piece = self._piece[:room], self._piece[room:]
        self._sent += len(piece)
        last = self._sent == self._declared and not self._piece
        self._connection.send(self.stream_id, piece, end=last)
        if last:
            self._end_upload()
        return True

    def _fetch(self) -> bool:
        """Get the next piece from the user's iterator, which may switch greenlets; False when there is none to send."""
        chunks, declared = self._chunks, self._declared
        assert chunks is not None
        following = next(chunks, None)
        piece = following or b""
        size = self._sent + len(piece)
        too_long = declared is not None and (
            size > declared or bool(piece and size == declared and any(chunks))
        )
        if self.over:  # it ended while the iterator was at work
            self._stop_upload()
            return False
        if too_long:
            raise LocalProtocolError(
                f"the request's body is longer than its Content-Length of {declared} bytes"
            )
        if piece:
            self._piece = memoryview(piece)
            return True
        if following is not None:
            return False  # it goes on, but an answer, a timeout or the end may have come meanwhile
        if declared is not None and size < declared:
            raise LocalProtocolError(
                f"the request's body ended after {size} of {declared} bytes (Content-Length)"
            )
        self._connection.send(self.stream_id, b"", end=True)
        self._end_upload()
        return False

    def _end_upload(self) -> None:
        self._chunks = None
        self._piece = memoryview(b"")

    def _stop_upload(self) -> None:
        """Send no more of the body; whoever made it may clean up."""
        if self._body is not None:
            body, chunks, self._body = self._body, self._chunks, None
            self._end_upload()
            _close_body(body, chunks)

    # -- the connection's side: never switches ----------------------------------------------------------------

    def take_head(self, head: ResponseHead) -> None:
        self.head = head
        self._bell.ring()

    def take_interim(self) -> None:
        """Wait for the head anew: the server has said that it is at it (1xx)."""
        self._encouraged = monotonic()

    def take_data(self, data: bytes, cost: int) -> None:
        if self._inbox and len(self._inbox[-1][0]) < _SMALL:
            before, paid = self._inbox.pop()
            data, cost = before + data, paid + cost
        self._inbox.append((data, cost))
        self._bell.ring()

    def take_end(self, trailers: Fields) -> None:
        self._complete = True
        self.trailers = trailers
        self._bell.ring()

    def fail(self, error: TransportError) -> None:
        self._error = error
        self._bell.ring()

    def depart(self, position: int, *, delayed: bool) -> None:
        """All that was sent so far leaves when the channel has come to this position; ``delayed``: not at once."""
        self._departs_at = position
        if delayed:
            self._delayed = True
            self._bell.ring()

    def look_again(self) -> None:
        """Wake an upload that may go on, and a request that may have left at last."""
        if self._delayed or (self._chunks is not None and self._may_send()):
            self._bell.ring()


def _close_body(body: Upload, chunks: Iterator[bytes] | None) -> None:
    """Close the chunks of a body, and the body; others may be sending it too.  Runs the code of whoever made it."""
    if chunks is not None:
        finish(chunks)
    body.close()


def _left(deadline: Deadline, phase: Phase, since: float) -> float | None:
    """Return the seconds that are left of a phase that began then, and of the total; None without bound."""
    seconds: float | None = getattr(deadline.timeout, phase)
    total = deadline.remaining()
    if seconds is None:
        return total
    left = seconds - (monotonic() - since)
    return left if total is None or left < total else total


def own_error(error: TransportError, exchange: Exchange) -> TransportError:
    """Return the error for one of several exchanges, with what is true of that one alone."""
    own = copy.copy(error)
    own.__cause__ = error.__cause__
    own.unprocessed = error.unprocessed or not exchange.stream_id
    protocol = exchange.connection.protocol
    begun = protocol.begun(exchange.stream_id)
    own.reused_silent = exchange.reused and not begun
    if isinstance(own, ServerDisconnected):
        own.partial = begun and not protocol.multiplexed
    return own
