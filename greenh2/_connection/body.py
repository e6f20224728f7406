"""The body of a response as its reader sees it: a stream that is pulled from its exchange, and closed once."""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from contextlib import suppress
from time import monotonic
from typing import TYPE_CHECKING

import gevent
from gevent import get_hub, getcurrent

from greenh2._connection.exchange import Exchange
from greenh2._errors import TransportError
from greenh2._models.request import Request
from greenh2._models.streams import SyncByteStream
from greenh2._models.timeouts import Deadline
from greenh2._models.trace import Trace
from greenh2._net.bell import SHORTEST
from greenh2._protocol.events import LONGEST_TURN, Fields

if TYPE_CHECKING:
    import ssl


class ExchangeBody(SyncByteStream):
    """The body of a response: pulled from its exchange, piece by piece, by whoever iterates."""

    __slots__ = ("_deadline", "_exchange", "_left", "_request", "_trace", "_turn_ends")

    def __init__(self, exchange: Exchange, deadline: Deadline, request: Request, trace: Trace | None) -> None:
        self._exchange = exchange
        self._deadline = deadline
        self._request = request
        self._trace = trace
        self._left = False
        self._turn_ends = 0.0

    def __iter__(self) -> Iterator[bytes]:
        exchange, deadline = self._exchange, self._deadline
        try:
            while data := self._read(exchange, deadline):
                yield data
        except GeneratorExit:
            self.let_go()
            raise
        except BaseException as exc:
            with suppress(Exception):  # of a trace function: the error under way is the one to tell
                self.close()
            if isinstance(exc, TransportError):
                exc.request = self._request
            raise
        self.close()

    def take_whole(self) -> bytes | None:
        """Return what is left of the body if all of it has arrived, else None.  Never waits."""
        return self._exchange.take_whole()

    def _read(self, exchange: Exchange, deadline: Deadline) -> bytes:
        began = monotonic()
        data = exchange.read(deadline)
        if monotonic() - began >= SHORTEST:  # so it has waited, and others have run
            self._turn_ends = 0.0
        return data

    def give_way(self) -> None:
        """Let others run if the reader has been at work for long: decoding may make very much of what is there.

        Switches greenlets, but not in the hub, nor in another native thread than that of the request.
        """
        now = monotonic()
        if now < self._turn_ends:
            return
        if self._turn_ends and not self._exchange.connection.foreign and getcurrent() is not get_hub():
            # After sleep(0) it would be its turn again long before that of timers and sockets.
            gevent.sleep(SHORTEST)
            now = monotonic()
        self._turn_ends = now + LONGEST_TURN

    @property
    def trailers(self) -> Fields:
        """The trailer fields, known once the body has been read to its end."""
        return self._exchange.trailers

    @property
    def tls(self) -> ssl.SSLObject | None:
        """The TLS session of the connection, to be looked at and no more; None without TLS."""
        return self._exchange.connection.channel.tls

    def close(self) -> None:
        """Give the connection's place back; what was not read is dropped.  Never waits."""
        self._exchange.close()
        if self._trace is not None:
            trace, self._trace = self._trace, None
            trace("response.closed", stream=self._exchange.stream_id)

    def close_soon(self) -> None:
        """Give the place back from the loop, then close in a greenlet: for a with block that a generator has left."""
        self._left = True
        self.let_go()
        self._exchange.connection.call_soon(self.close)

    def let_go(self) -> None:
        """Give the place back from the loop: for the collector, which may be anywhere, in any thread."""
        if not self._exchange.over:
            self._exchange.connection.leave_soon(self._exchange)

    def __del__(self) -> None:
        if self._exchange.over or self._left:
            return
        self.let_go()
        warnings.warn(
            f"a response to {self._request.method} {self._request.url.redacted} was dropped without being read to "
            "its end or closed: use it in a with statement",
            ResourceWarning,
            stacklevel=2,
            source=self,
        )
