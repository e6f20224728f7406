"""The flow of bytes between a channel and a protocol, driven by the loop.

Bytes are read in a callback of the hub while something is watched for, turned into events by the protocol, and handed
on; what the protocol has to say leaves once in a turn of the loop.  Nothing in this file waits or switches greenlets,
so nothing in it can be interrupted by a kill, and no lock is needed.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from time import monotonic

import gevent

from greenh2._connection.life import Life
from greenh2._errors import ReadError, RemoteProtocolError, TransportError, WriteError
from greenh2._models.route import Route
from greenh2._net.channel import Channel
from greenh2._net.clock import Clock
from greenh2._protocol.events import LONGEST_TURN, ConnectionFailed, Event, Protocol

#: How many bytes of our answers to a peer's frames may wait until it reads (CVE-2019-9517).
MOST_UNSENT = 2 * 1024 * 1024
#: What is read at one go of `probe` and the like, so that a peer that never stops cannot hold the hub (reads).
_MOST_READS = 64
#: How long what a peer has said is taken when nothing can be written any more (seconds); nobody else runs meanwhile.
_LAST_TURN = 0.04


class Flow:
    """What the loop does for a connection, which alone knows who waits for what the events tell."""

    def __init__(self, channel: Channel, protocol: Protocol, route: Route, clock: Clock) -> None:
        self.channel = channel
        self.protocol = protocol
        self.route = route
        self.life = Life(clock)
        self._pid = os.getpid()
        self._hub = gevent.get_hub()
        #: Bytes of our answers since the channel had come to the mark, as `Channel.taken` counts.
        self._answers = 0
        self._mark = 0
        self._flush_due = False
        self._losing = False
        channel.on_drained(self._on_drained)

    @property
    def closed(self) -> bool:
        return self.channel.closed

    @property
    def orphaned(self) -> bool:
        """Whether this is a copy in a forked child, so that all is the parent's, or the hub that drove it is gone."""
        return os.getpid() != self._pid or self._hub.loop is None

    # -- what the connection makes of it -----------------------------------------------------------------------

    def _dispatch(self, events: list[Event]) -> None:
        """Hand what has arrived to those whom it concerns."""
        raise NotImplementedError

    def _tell_flushed(self) -> None:
        """Tell those who have put something on its way that the channel has it."""
        raise NotImplementedError

    def _ring_uploads(self, stream_id: int = 0) -> None:
        """Let those look who have more to send, all of them for 0."""
        raise NotImplementedError

    def _settle(self) -> None:
        """See what has become free, or has come to its end."""
        raise NotImplementedError

    def _die(self, error: TransportError, reason: str) -> None:
        """Close at once, and fail what is open."""
        raise NotImplementedError

    # -- writing ---------------------------------------------------------------------------------------------

    def flush_soon(self) -> None:
        """Send, once in this turn of the loop, all that greenlets have put on its way."""
        if not self._flush_due and self._hub.loop is not None:
            self._hub.loop.run_callback(self._on_turn)
            # Not before: a handler of signals may raise between, and nothing would ever leave.
            self._flush_due = True

    def _on_turn(self) -> None:
        if self._flush_due and not self.orphaned:  # else it was done already, or it is the parent's to do
            self._flush()

    def _flush(self) -> None:
        try:
            self._give()
        except BaseException as exc:
            self._tear(exc)
            raise

    def _give(self) -> None:
        self._flush_due = False
        channel = self.channel
        if channel.closed:
            return
        if out := self.protocol.outgoing():
            channel.write(out)
        channel.flush()
        self._tell_flushed()
        if channel.write_error is not None:
            self._lose_writing(channel.write_error)

    def _on_drained(self) -> None:
        if self.channel.write_error is not None:
            self._lose_writing(self.channel.write_error)
        else:
            self._ring_uploads()

    def _lose_writing(self, cause: OSError) -> None:
        """The peer takes no more: what it said before may still be there (RFC 9112 section 9.5)."""
        if self._losing:
            return
        self._losing = True
        self._pump()
        if not self.closed:
            error = WriteError(f"writing to {self.route.origin} failed: {cause}")
            error.__cause__ = cause
            self._die(error, "write failed")

    # -- reading ---------------------------------------------------------------------------------------------

    def _on_readable(self) -> None:
        if self.orphaned:
            self.channel.unwatch()
            return
        if not self.channel.watched:
            return  # any more, since it had to wait for its turn
        self._read()
        if not self.protocol.wants_data:
            self.channel.unwatch()

    def _pump(self) -> None:
        """Take all that has arrived, within bounds."""
        if self.orphaned:
            return
        end = monotonic() + (_LAST_TURN if self._losing else LONGEST_TURN)
        for _ in range(_MOST_READS):
            if self.closed or not self._read() or monotonic() > end:
                return

    def _read(self) -> bool:
        """Take what one read gives; False when nothing was there, or nothing more will be."""
        try:
            return self._take()
        except BaseException as exc:
            self._tear(exc)
            raise

    def _tear(self, cause: BaseException) -> None:
        """End what was left half done: a handler of signals may raise anywhere, KeyboardInterrupt most of all."""
        if not self.closed:
            error = ReadError(
                f"the work on the connection to {self.route.origin} was interrupted by {cause!r}"
            )
            self._die(error, str(error))

    def _take(self) -> bool:
        protocol, channel = self.protocol, self.channel
        cleared = False
        if self._flush_due:
            self._flush()  # so that what is unsent more afterwards is our answers
            if self.closed:
                return False
        unsent = channel.unsent
        try:
            if protocol.backlog:
                events = self._understand(protocol.receive_more)
            else:
                data = channel.read()
                if data is None and not channel.ended:
                    if channel.midway > self.life.heard and self.life.sign():
                        self._settle()
                    return False
                cleared = self.life.sign()
                events = self._understand(protocol.receive, data) if data else []
            if channel.ended and not protocol.backlog:
                events += self._understand(protocol.receive, b"")
        except TransportError as exc:
            if protocol.farewell:
                exc.args = (f"{exc}, after {protocol.farewell}",)
            self._die(exc, "read failed")
            return False
        self._dispatch(events)
        if not self.closed:
            if protocol.unsaid or channel.write_error is not None:
                self._flush()
            if protocol.backlog:
                self.channel.call_later(self._go_on)
            if channel.unsent > unsent:
                self._count_answers(channel.unsent - unsent)
            if cleared and not self.closed:
                self._settle()
            if channel.broken is not None and not protocol.backlog and not self.closed:
                return self._take()  # which tells so: nothing more may arrive to wake us
        return protocol.backlog or not channel.ended

    def _count_answers(self, size: int) -> None:
        """Count so many bytes of answers that the kernel has not taken, and end with a peer that reads nothing."""
        channel = self.channel
        if channel.taken >= self._mark:  # it reads: what was unsent when counting began has left
            self._answers, self._mark = 0, channel.written
        self._answers += size
        if self._answers > MOST_UNSENT:
            error = RemoteProtocolError(
                f"{self.route.origin} goes on talking, and does not read what is sent"
            )
            self._die(error, str(error))

    def _go_on(self) -> None:
        """Take more of what came with the last read: others had a turn of the loop."""
        if self.protocol.backlog and not self.closed:
            self._read()

    def _understand(self, receive: Callable[..., list[Event]], *data: bytes) -> list[Event]:
        try:
            return receive(*data)
        except Exception as exc:  # nothing that a parser makes of a peer's bytes may be raised in the hub
            error = RemoteProtocolError(f"what {self.route.origin} sent could not be understood: {exc!r}")
            error.__cause__ = exc
            return [ConnectionFailed(error)]
