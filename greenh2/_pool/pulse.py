"""The pulse: finds out that a busy HTTP/2 connection is dead, though nothing says so (a half-open connection).

While connections are in use a timer looks at them.  One that has been silent for ``ping_interval`` seconds, or on
which a request has waited in vain, is sent a PING; if nothing at all arrives within ``ping_timeout`` seconds, it is
closed and its requests fail.  Any byte from the peer is a sign of life (RFC 9113 section 6.7).
"""

from __future__ import annotations

import weakref
from time import monotonic
from typing import TYPE_CHECKING, Any

import gevent

from greenh2._connection.connection import Connection
from greenh2._errors import ServerDisconnected

if TYPE_CHECKING:
    from greenh2._pool.pool import Pool

#: Why a connection is closed that gives no sign of life.
UNANSWERED = "a PING was not answered"
#: The timer's period is this part of the shortest time that it has to keep, within bounds (seconds).
_PART = 4
_SHORTEST, _LONGEST = 0.05, 5.0


class Pulse:
    """The timer of one pool; never switches greenlets."""

    __slots__ = ("_hub", "_interval", "_period", "_pool", "_timeout", "_timer")

    def __init__(self, pool: Pool, interval: float | None, timeout: float) -> None:
        self._pool = weakref.ref(pool)
        self._hub = gevent.get_hub()
        self._interval = interval
        self._timeout = timeout
        self._period = min(_LONGEST, max(_SHORTEST, min(interval or timeout, timeout) / _PART))
        self._timer: Any = None  # a timer watcher of the loop; gevent names no type for it

    def watch(self, connection: Connection) -> None:
        """Look after a connection that is in use, if there is reason to."""
        if self._timer is None and self._concerns(connection) and connection.protocol.multiplexed:
            self._timer = self._hub.loop.timer(self._period, ref=False)
            self._timer.start(self._tick, update=True)

    def stop(self) -> None:
        """Stop the timer."""
        timer, self._timer = self._timer, None
        if timer is not None and self._hub.loop is not None:
            timer.stop()
            timer.close()

    def _concerns(self, connection: Connection) -> bool:
        return (self._interval is not None or connection.life.suspect) and bool(connection.streams)

    def _tick(self) -> None:
        self.stop()
        pool = self._pool()
        if pool is None or pool.closed:
            return
        for connection in pool.connections:
            if connection.protocol.multiplexed and self._concerns(connection):
                self._look_at(connection)
                self.watch(connection)

    def _look_at(self, connection: Connection) -> None:
        life = connection.life
        asked = life.asked_for()
        if asked is not None:  # what stands before the PING is still being taken: it has yet to arrive
            asked = min(asked, monotonic() - connection.channel.progressed)
        if asked is not None and asked >= self._timeout:
            message = f"{connection.route.origin} is gone: it has not answered a PING for {asked:.3g} s"
            connection.close(UNANSWERED, ServerDisconnected(message))
        elif asked is None and self._interval is not None and life.silent_for() >= self._interval:
            connection.ask()
