"""Relief: sees that a request for one origin is not kept waiting by endless traffic to another.

While requests need a place and nothing is idle, a timer looks at them every ``fairness_delay`` seconds.  For each
origin whose oldest request has waited that long, the least busy connection of another origin is told to take
no new streams; when its last one ends, or at once if it has none in this very turn of the loop, its place goes to the
oldest request.  One that is younger than such a period is left alone.  A connection that does not get empty in
some such periods, because of a long answer, goes on for as many before it may be told again: so its own origin does
not starve either.  When nobody needs places any more, all that was told to drain goes on.
"""

from __future__ import annotations

import weakref
from time import monotonic
from typing import TYPE_CHECKING, Any

import gevent

from greenh2._connection.connection import Connection
from greenh2._pool.deadlock import Deadlocks

if TYPE_CHECKING:
    from greenh2._pool.line import PoolLane
    from greenh2._pool.pool import Pool


#: One connection in so many is told to drain at a time: making new ones costs more than requests do.
MOST_AT_ONCE = 5
#: A connection that is not empty after so many periods goes on for as many.
PATIENCE = 5
#: Why a connection closes that gives its place to another origin.
NEEDED = "its place is needed by another origin"


class Relief:
    """The drains and the timer of one pool; never switches greenlets."""

    __slots__ = ("_delay", "_draining", "_excused", "_hub", "_pool", "_timer")

    def __init__(self, pool: Pool, delay: float) -> None:
        self._pool = weakref.ref(pool)
        self._delay = delay
        # For how many periods each has been drained, or is left alone.
        self._draining: dict[Connection, int] = {}
        self._excused: dict[Connection, int] = {}
        self._hub = gevent.get_hub()
        self._timer: Any = None  # a timer watcher of the loop; gevent names no type for it

    def review(self) -> None:
        """Start the timer when somebody waits; end all drains when nobody does."""
        pool = self._pool()
        if pool is None:
            return
        if pool.contended:
            self._start()
        elif self._timer is not None or self._draining:
            self.stop()
            self._end_drains(pool)

    def _end_drains(self, pool: Pool) -> None:
        for connection in tuple(self._draining):
            self.forget(connection)
            if not connection.closed:
                pool.resume(connection)

    def forget(self, connection: Connection) -> None:
        """Note that a connection is closed, or no longer drained."""
        self._draining.pop(connection, None)
        self._excused.pop(connection, None)

    def _count(self, pool: Pool) -> None:
        """Let another period pass for what is drained, and for what is left alone."""
        self._excused = {connection: left - 1 for connection, left in self._excused.items() if left > 1}
        for connection, passed in tuple(self._draining.items()):
            self._draining[connection] = passed + 1
            if passed >= PATIENCE:
                del self._draining[connection]
                self._excused[connection] = PATIENCE
                pool.resume(connection)

    def stop(self) -> None:
        """Stop the timer."""
        timer, self._timer = self._timer, None
        if timer is not None and self._hub.loop is not None:
            timer.stop()
            timer.close()

    def _start(self) -> None:
        if self._timer is None:
            timer = self._hub.loop.timer(max(self._delay, 0.001))
            timer.start(self._tick, update=True)
            self._timer = timer

    def _tick(self) -> None:
        self.stop()
        pool = self._pool()
        if pool is None or pool.closed:
            return
        hungry = pool.hungry()
        if not hungry:
            self._end_drains(pool)
        self._count(pool)
        for lane in pool.lanes:
            if lane.reluctant:
                pool.try_again(lane)
        now = monotonic()
        drains = max(1, sum(1 for _ in pool.connections) // MOST_AT_ONCE)
        deadlocks, candidates = Deadlocks(pool), self._candidates(pool)
        confined = [lane for lane in pool.lanes if lane.waiters and lane.confined]
        for lane in [*hungry, *confined]:
            oldest = next(iter(lane.waiters), None)
            if oldest is None or now - oldest.since < self._delay * 0.99:
                continue
            if deadlocks.resolve(oldest) or lane.confined:
                continue
            if drains and len(self._draining) < len(hungry):
                drains -= 1
                self._drain_for(pool, lane, candidates)
        if pool.contended:
            self._start()

    def _candidates(self, pool: Pool) -> list[tuple[Connection, PoolLane]]:
        """Return what may drain, the least busy first; of those equally busy the oldest, so that places go round."""
        candidates = [
            (connection, lane)
            for lane in pool.lanes
            for connection in lane.connections
            if connection.usable and not pool.is_idle(connection) and connection not in self._excused
            if connection.life.age() >= self._delay  # else it may not have served those for whom it was made
        ]
        return sorted(candidates, key=lambda pair: (pair[0].streams, pair[0].number))

    def _drain_for(self, pool: Pool, lane: PoolLane, candidates: list[tuple[Connection, PoolLane]]) -> None:
        """Tell the least busy connection of another origin that its place is wanted."""
        for connection, other in candidates:
            richer = not lane.connections or len(other.connections) > len(lane.connections)
            if other is not lane and richer and connection.usable:
                connection.draining = NEEDED
                self._draining[connection] = 0
                pool.update(connection)
                return
