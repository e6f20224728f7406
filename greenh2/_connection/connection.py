"""A connection: one channel and one protocol, carrying one exchange or many.

What arrives (flow.py) is handed to the exchanges, which ring their greenlets.  Nothing in this file waits or switches
greenlets, so nothing in it can be interrupted by a kill, and no lock is needed.  An idle connection has no watcher and
no greenlet; it is looked at by `probe`, before it is used again and by the reaper.
"""

from __future__ import annotations

import itertools
import logging
from collections.abc import Callable, Iterable

import gevent

from greenh2._connection.exchange import Exchange, own_error
from greenh2._connection.flow import Flow
from greenh2._connection.life import PAYLOAD
from greenh2._connection.turns import MANY, Turns
from greenh2._connection.vigil import Nearness
from greenh2._errors import CloseError, LocalProtocolError, RemoteProtocolError, TransportError
from greenh2._models.route import Route
from greenh2._models.trace import log, logger
from greenh2._net.channel import Channel
from greenh2._net.clock import Clock
from greenh2._net.threads import call_in, native_thread
from greenh2._protocol.events import (
    CapacityChanged,
    ConnectionFailed,
    DataReceived,
    Event,
    HeadReceived,
    InterimReceived,
    Protocol,
    RequestHead,
    ResponseEnded,
    StreamFailed,
    WindowOpened,
)

_numbers = itertools.count(1)
#: Uploads wait while more than this is on its way to the kernel (bytes): a turn of the loop takes no more of them.
HIGH_WATER = 256 * 1024


class Connection(Flow):
    """One connection of a pool.  ``on_change`` is called after its room, or its life, has changed."""

    def __init__(self, channel: Channel, protocol: Protocol, route: Route, clock: Clock) -> None:
        super().__init__(channel, protocol, route, clock)
        self.number = next(_numbers)
        self.requests = 0
        self.facts = {"id": self.number, "origin": route.origin, **channel.facts()}
        #: Set by the pool: why no new exchanges are wanted, and what the connection closes for when the last one ends.
        self.draining = ""
        self.on_change: Callable[[Connection], None] = lambda _: None
        #: Called once, when the first response has arrived.
        self.on_answered: Callable[[Connection], None] | None = None
        #: Why the connection is closed.
        self.ended_by: TransportError | None = None
        self._thread = native_thread()
        self._exchanges: dict[Exchange, None] = {}
        self._by_stream: dict[int, Exchange] = {}
        self._queued = 0
        self._departing: dict[Exchange, None] = {}
        self._probing = False
        #: Set by the pool: who else is read on this hub, and whether the loop may stay awake for answers.
        self.turns: Turns | None = None
        self.nearness: Nearness | None = None

    @property
    def foreign(self) -> bool:
        """Whether this is asked in another native thread than the one whose hub drives the connection."""
        return native_thread() != self._thread

    @property
    def usable(self) -> bool:
        """Whether the connection may take exchanges now or later."""
        return not (self.channel.closed or self.draining or self.protocol.retired or self.channel.write_error)

    @property
    def greeting(self) -> bool:
        """Whether the peer has yet to say how many exchanges it allows, and is trusted to do so."""
        return self.protocol.greeting and not self.closed and not self.life.suspect

    @property
    def suspended(self) -> bool:
        """Whether more exchanges may be allowed soon (SETTINGS are under way), or none for now (a limit of 0)."""
        return self.greeting or (self.usable and not self.protocol.streams_allowed and not self.life.suspect)

    @property
    def exchanges(self) -> Iterable[Exchange]:
        """The exchanges that hold a place."""
        return tuple(self._exchanges)

    @property
    def streams(self) -> int:
        """How many places are held."""
        return len(self._exchanges)

    def room(self, bound: int | None) -> bool:
        """Tell whether one more exchange may be opened, with at most ``bound`` at once."""
        return self.usable and not self.life.suspect and not self.full(bound)

    def full(self, bound: int | None) -> bool:
        """Tell whether all places are held, of which there are at most ``bound``."""
        held = len(self._exchanges)
        return held >= self.protocol.streams_allowed or (bound is not None and held >= bound)

    def admits(self) -> bool:
        """Tell whether a reserved exchange may begin now: the peer may have changed its mind meanwhile."""
        channel = self.channel
        gone = channel.closed or self.protocol.retired or channel.write_error or self.life.suspect
        return not gone and len(self._by_stream) < self.protocol.streams_allowed

    def age(self) -> float:
        """Return the seconds since the connection was made."""
        return self.life.age()

    def idle(self) -> float:
        """Return the seconds since the last exchange ended; 0.0 while one is open."""
        return 0.0 if self._exchanges else self.life.idle()

    def __repr__(self) -> str:
        state = "closed" if self.closed else "draining" if self.draining else "open"
        return (
            f"<Connection #{self.number} {self.route.origin} {self.protocol.name} {state}, {self.streams} streams, "
            f"{self.requests} requests, {self.age():.1f} s old, {self.idle():.1f} s idle>"
        )

    def start(self) -> None:
        """Take what came with the TLS handshake; the protocol's greeting leaves with the first request, or without."""
        self._pump()
        self.flush_soon()

    def open(self) -> Exchange:
        """Reserve a place and return the exchange that holds it; no I/O, so that it cannot be refused later."""
        exchange = Exchange(self, reused=self.requests > 0)
        self._exchanges[exchange] = None
        self.requests += 1
        return exchange

    def probe(self) -> bool:
        """Take what has arrived on an idle connection, without waiting, and tell whether it is still usable."""
        self._probing = True
        try:
            self._pump()
        finally:
            self._probing = False
        return self.usable

    def ask(self) -> None:
        """Send a PING, to which the peer must answer."""
        self.life.ask()
        self.protocol.ping(PAYLOAD)
        self.flush_soon()

    def distrust(self, since: float) -> None:
        """Take no more exchanges if nothing has arrived since then, and ask the peer whether it is there."""
        if (
            self.protocol.multiplexed
            and not self.closed
            and not self.life.suspect
            and not self.life.heard_since(since)
        ):
            self.life.suspect = True
            self.ask()
            self.on_change(self)

    def close(self, reason: str, error: TransportError | None = None) -> None:
        """Say goodbye as far as that takes no waiting, close, and fail what is open.  May be called twice."""
        if self.closed:
            return
        self.protocol.shutdown()
        self._die(error or CloseError(f"the connection to {self.route.origin} was closed: {reason}"), reason)

    def abandon(self) -> None:
        """Close the descriptor without a word: for the copy of a connection in a forked child."""
        self._exchanges.clear()
        self._by_stream.clear()
        self.channel.abandon()

    def begin(self, exchange: Exchange, head: RequestHead, *, end: bool) -> None:
        """Put a request's head on its way; the exchange has the stream's number from then on."""
        if not self.admits():
            raise RemoteProtocolError(
                f"the connection to {self.route.origin} ended before the request was sent", unprocessed=True
            )
        try:
            exchange.stream_id = stream_id = self.protocol.open(head, end=end)
        except LocalProtocolError:
            raise  # which left no trace
        except BaseException as exc:
            self._tear(exc)
            raise
        self._by_stream[stream_id] = exchange
        self.channel.watch(self._on_news)
        self._depart(exchange)

    @property
    def congested(self) -> bool:
        """Whether so much is on its way that uploads should wait."""
        return self._queued + self.channel.unsent > HIGH_WATER

    def sendable(self, stream_id: int) -> int:
        """Return how many bytes of a body may be sent now: what the peer allows, and 0 while the kernel is behind."""
        if self.congested or self.channel.write_error is not None:
            return 0
        return self.protocol.sendable(stream_id)

    def send(self, stream_id: int, data: bytes | memoryview, *, end: bool) -> None:
        """Put a piece of a body on its way, at most `sendable` bytes."""
        self.protocol.send(stream_id, data, end=end)
        self._queued += len(data)
        exchange = self._by_stream.pop(stream_id, None)
        if exchange is None:
            return  # abandoned while the body's iterator was at work, which forked or let others do so
        self._by_stream[stream_id] = exchange  # last in the order in which uploads are woken: they take turns
        self._depart(exchange)

    def _depart(self, exchange: Exchange) -> None:
        self._departing[exchange] = None
        self.flush_soon()

    def consumed(self, stream_id: int, cost: int) -> None:
        """Credit what the user has read, and read on if that was paused."""
        if self.closed:
            return
        self.protocol.consumed(stream_id, cost)
        if self.protocol.unsaid:
            self.flush_soon()
        if self._by_stream and self.protocol.wants_data:
            self.channel.watch(self._on_news)

    def heard(self, stream_id: int) -> float:
        """Return when any byte last arrived if it may be of this exchange's answer, else 0.0."""
        arriving = self.protocol.arriving(stream_id, more=self.channel.midway > 0)
        return self.life.heard if arriving else 0.0

    def catch_up(self) -> None:
        """Take what has arrived while somebody held up the loop, before it is called late."""
        self._pump()

    def leave(self, exchange: Exchange) -> None:
        """End an exchange early, at whatever point it is; its place is free when this returns."""
        if exchange not in self._exchanges:
            return
        if self.orphaned:
            self.abandon()
            return
        if exchange.stream_id:
            self.protocol.cancel(exchange.stream_id)
            self.flush_soon()
        self._forget(exchange)
        self._settle()

    def leave_soon(self, exchange: Exchange) -> None:
        """End an exchange from the loop: for finalizers and other threads."""
        if not self.orphaned:
            call_in(self._hub, exchange.close_in_loop)

    def call_soon(self, function: Callable[[], object]) -> None:
        """Call a function in a greenlet of its own: for finalizers and other threads."""
        if not self.orphaned:
            call_in(self._hub, gevent.spawn, function)

    # -- what the flow brings ------------------------------------------------------------------------------------

    def _on_news(self) -> None:
        if self.turns is None or len(self._exchanges) < MANY:
            self._on_readable()
        else:
            self.turns.take(self._on_readable)

    def _tell_flushed(self) -> None:
        channel = self.channel
        if self._departing:
            departing, self._departing = self._departing, {}
            for exchange in departing:
                exchange.depart(channel.written, delayed=channel.unsent > 0)
            if self.nearness is not None and not (self._queued or channel.unsent):
                self.nearness.ask(channel.progressed)
        uploads, self._queued = self._queued, 0
        if uploads and channel.write_error is None and not self.congested:
            self._ring_uploads()

    def _dispatch(self, events: list[Event]) -> None:
        # A peer may say a thousand times in one turn that windows or limits have changed: it is looked at once.
        changed = opened = settled = False
        if self.nearness is not None:
            self.nearness.answer(self.life.heard)
        for event in events:
            match event:
                case DataReceived():
                    if (exchange := self._by_stream.get(event.stream_id)) is not None:
                        exchange.take_data(event.data, event.cost)
                case HeadReceived():
                    if (exchange := self._by_stream.get(event.stream_id)) is not None:
                        exchange.take_head(event.head)
                case InterimReceived():
                    if (exchange := self._by_stream.get(event.stream_id)) is not None:
                        exchange.take_interim()
                case ResponseEnded():
                    if (exchange := self._by_stream.get(event.stream_id)) is not None:
                        exchange.take_end(event.trailers)
                        if self.on_answered is not None:
                            on_answered, self.on_answered = self.on_answered, None
                            on_answered(self)
                        self.protocol.stop_sending(event.stream_id)
                        self._forget(exchange)
                        changed, settled = True, False
                case StreamFailed():
                    if (exchange := self._by_stream.get(event.stream_id)) is not None:
                        self._forget(exchange)
                        exchange.fail(event.error)
                        changed, settled = True, False
                case WindowOpened(stream_id=0):
                    opened = True
                case WindowOpened():
                    self._ring_uploads(event.stream_id)
                case CapacityChanged() if not settled:
                    self._settle()  # at once: who waited for this connection comes before who wants its place
                    settled = True
                case ConnectionFailed():
                    self._die(event.error, str(event.error))
                    return
                case _:
                    continue
        if changed and not settled:
            self._settle()
        if opened:
            self._ring_uploads()

    def _ring_uploads(self, stream_id: int = 0) -> None:
        for exchange in [self._by_stream.get(stream_id)] if stream_id else list(self._by_stream.values()):
            if exchange is not None:
                exchange.look_again()

    # -- ends ------------------------------------------------------------------------------------------------

    def _forget(self, exchange: Exchange) -> None:
        self._exchanges.pop(exchange, None)
        self._by_stream.pop(exchange.stream_id, None)
        if not self._exchanges:
            self.channel.unwatch()
            self.life.rest()

    def _settle(self) -> None:
        """After exchanges have ended, or may be more or fewer: close when nothing more may come, tell the pool."""
        if not self._exchanges and self.protocol.retired:
            self._flush()
            self.close("no more requests may be sent on it")
        elif not self._probing:
            self.on_change(self)

    def _die(self, error: TransportError, reason: str) -> None:
        """Close at once; every open exchange gets an error of its own."""
        self.ended_by = error
        out = self.protocol.outgoing()  # GOAWAY, where the protocol had a reason to give
        if out and not self.orphaned:
            self.channel.write(out)
        self.channel.close()
        exchanges, self._exchanges = self._exchanges, {}
        self._by_stream.clear()
        for exchange in exchanges:
            exchange.fail(own_error(error, exchange))
        if logger.isEnabledFor(logging.DEBUG):
            gevent.spawn(
                log, "connection.closed", connection=self.number, origin=self.route.origin, reason=reason
            )
        self.on_change(self)
