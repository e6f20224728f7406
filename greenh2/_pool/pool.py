"""The pool of one hub: bounds connections, lets requests wait in order of arrival, and sees that no origin starves.

A permit of the semaphore is a connection, dialing ones included.  Every change (an exchange ends, a connection
closes, a dial fails, a request gives up) ends in `serve`, which gives what is free to whoever has waited longest.
Nothing here switches greenlets (`acquire.py` does), so that a kill finds the pool before a change or after it.
"""

from __future__ import annotations

import copy
from collections.abc import Iterator
from time import monotonic

from gevent import get_hub
from gevent.lock import BoundedSemaphore

from greenh2._connection.connection import Connection
from greenh2._connection.dial import Dialer
from greenh2._connection.exchange import Exchange
from greenh2._connection.turns import Turns
from greenh2._connection.vigil import Vigil
from greenh2._errors import CloseError, TransportError
from greenh2._models.config import Limits
from greenh2._models.route import Route
from greenh2._net.bell import Leash
from greenh2._pool import reaper, report
from greenh2._pool.lane import Lane
from greenh2._pool.line import Line, PoolLane
from greenh2._pool.pulse import UNANSWERED, Pulse
from greenh2._pool.relief import NEEDED, Relief
from greenh2._pool.waiter import PLACE, Place, Waiter

#: Lanes that are remembered for their protocol alone; more are forgotten.
_MAX_DESERTED = 1024
#: A request that comes so long after the last dial that failed has one tried again at once (seconds).
_CAUTION = 0.1


class Pool:
    """Connections and waiting requests of one hub; no other thread and no forked child may use it."""

    def __init__(self, limits: Limits, dialer: Dialer) -> None:
        self.limits = limits
        self.closed = False
        self.dialer = dialer
        self._permits = None if limits.max_connections is None else BoundedSemaphore(limits.max_connections)
        self._lanes: dict[Route, PoolLane] = {}
        self._most_lanes = _MAX_DESERTED
        self._line = Line()
        self._idle: dict[Connection, None] = {}
        self._resting: dict[Connection, None] = {}
        self._rested: dict[Connection, None] = {}
        self._max_idle = limits.max_keepalive_connections
        self._relief = Relief(self, limits.fairness_delay)
        self._pulse = Pulse(self, limits.ping_interval, limits.ping_timeout)
        self._turns, self._vigil = Turns(), Vigil(limits.busy_poll)
        self.leashes: dict[Leash, None] = {}
        self._due: dict[PoolLane, None] = {}
        self._serving = False
        self.excerpt: report.Excerpt | None = None  # what PoolTimeouts told of the pool last
        self._reaper: reaper.Reaper | None = None

    # -- facts -----------------------------------------------------------------------------------------------

    @property
    def lanes(self) -> Iterator[PoolLane]:
        return iter(tuple(self._lanes.values()))

    @property
    def connections(self) -> Iterator[Connection]:
        return (connection for lane in self.lanes for connection in tuple(lane.connections))

    @property
    def contended(self) -> bool:
        """Whether any request waits."""
        return bool(self._line)

    @property
    def idle(self) -> tuple[Connection, ...]:
        """Idle connections, the least recently used first."""
        return tuple(self._idle)

    def is_idle(self, connection: Connection) -> bool:
        """Tell whether a connection has no stream, and is not about to have one in this turn of the loop."""
        return connection in self._idle

    def hungry(self) -> list[PoolLane]:
        """Return the lanes whose oldest request needs a place, the next one first."""
        return list(self._line)

    # -- for requests ------------------------------------------------------------------------------------------

    def take_ready(self, lane: PoolLane) -> Exchange | None:
        """Return an exchange on a connection that has room, None when there is none."""
        while lane.ready:
            connection = next(reversed(lane.ready))
            if self._fit(connection):
                return self._open(lane, connection)
        return None

    def line_up(self, waiter: Waiter) -> None:
        """Let a request wait in its lane, and serve it if that can be done now."""
        lane = waiter.lane
        waiter.line_up()
        if lane.reluctant and monotonic() - lane.stumbled >= _CAUTION:
            self.try_again(lane)
        elif next(iter(lane.waiters)) is waiter:  # else those before it would have been served as well
            self._line.note(lane)
            self.serve(lane)

    def withdraw(self, waiter: Waiter) -> None:
        """Take a request out that gave up, and hand back what it was granted meanwhile."""
        lane = waiter.lane
        lane.waiters.pop(waiter, None)
        if isinstance(waiter.grant, Exchange):
            waiter.grant.close()
        elif isinstance(waiter.grant, Place):
            self.end_dial(lane)
        self.serve(lane)

    def end_dial(self, lane: PoolLane) -> None:
        """Take the place back of a dial that has come to nothing."""
        lane.dials -= 1
        self._release()

    def join(self, lane: PoolLane, connection: Connection) -> Exchange:
        """Take in a connection that was dialed in a place of its own, and return the first exchange on it."""
        lane.dials -= 1
        lane.multiplexed = connection.protocol.multiplexed
        lane.add(connection)
        connection.life.bound(self.limits.max_connection_age)
        connection.on_change = self.update
        connection.turns, connection.nearness = self._turns, self._vigil.nearness()
        exchange = connection.open()
        if self.closed:
            connection.close("the client was closed")
        elif connection.closed:
            self.update(connection)
        self._note(lane, connection)
        self.serve(lane)
        return exchange

    def fail_waiters(self, lane: PoolLane, error: TransportError) -> None:
        """Give every waiting request of the lane a copy of the error."""
        for waiter in tuple(lane.waiters):
            own = copy.copy(error)
            own.__cause__ = error
            waiter.give(own)
        self._line.note(lane)

    def refuse(self, waiter: Waiter, error: TransportError) -> None:
        """Give a waiting request an error."""
        waiter.give(error)
        self.serve(waiter.lane)

    # -- bookkeeping -------------------------------------------------------------------------------------------

    def lane(self, route: Route) -> PoolLane:
        """Return the lane of a route.  Raises CloseError when the client was closed."""
        if self.closed:
            raise CloseError("the client has been closed: make a new one to send more requests")
        lane = self._lanes.get(route)
        if lane is None:
            if len(self._lanes) > self._most_lanes:
                self._lanes = {key: lane for key, lane in self._lanes.items() if not lane.deserted}
                self._most_lanes = max(_MAX_DESERTED, 2 * len(self._lanes))
            limit = self.limits.max_connections_per_origin
            lane = Lane(route, multiplexed=self.dialer.multiplexed(route), limit=limit)
            self._lanes[route] = lane
        return lane

    def update(self, connection: Connection) -> None:
        """Take note of a change on a connection, and give what became free to whoever waits."""
        lane = self._lanes.get(connection.route)
        if lane is None or connection not in lane.connections:
            return
        if connection.closed:
            lane.remove(connection)
            self._leave_idle(connection)
            self._relief.forget(connection)
            self._release()
        else:
            self._note(lane, connection)
        self.serve(lane)

    def _note(self, lane: PoolLane, connection: Connection) -> None:
        if connection.closed:
            return
        lane.update(connection, room=connection.room(self.limits.max_streams_per_connection))
        if connection.streams:
            self._leave_idle(connection)
            self._pulse.watch(connection)
        elif connection.draining:
            connection.close(connection.draining)
        elif self._max_idle == 0:
            self._idle[connection] = None
        elif not (connection in self._idle or connection in self._resting or connection in self._rested):
            if not self._resting:
                get_hub().loop.run_callback(self._rest)
            self._resting[connection] = None

    def _rest(self) -> None:
        """Greenlets that were answered in this turn of the loop are about to run, and may want a connection again."""
        rested, self._resting = self._resting, {}
        if rested:
            self._rested.update(rested)
            get_hub().loop.run_callback(self._end_rest)

    def _end_rest(self) -> None:
        """They have run: what they left is free for every origin, and may be too many."""
        rested, self._rested = self._rested, {}
        self._idle.update(rested)
        for route in {connection.route: None for connection in rested}:
            self.serve(self._lanes[route])

    def _leave_idle(self, connection: Connection) -> None:
        self._idle.pop(connection, None)
        self._resting.pop(connection, None)
        self._rested.pop(connection, None)

    def _open(self, lane: PoolLane, connection: Connection) -> Exchange:
        if not connection.streams:
            self._leave_idle(connection)
        exchange = connection.open()
        self._pulse.watch(connection)
        if connection.full(self.limits.max_streams_per_connection):
            lane.update(connection, room=False)
        return exchange

    def _fit(self, connection: Connection) -> bool:
        """Tell whether a connection may be used now; if not it is closed, or drained when it is in use."""
        if connection.streams:
            if connection.life.aged:
                self._retire(connection)
            return not connection.draining
        if (reason := self.spent(connection)) is not None:
            self._leave_idle(connection)
            connection.close(reason)
            return False
        if connection.room(self.limits.max_streams_per_connection):
            return True
        self._lanes[connection.route].update(connection, room=False)
        return False

    def _retire(self, connection: Connection) -> None:
        """Let a busy connection take no more; it closes when its last exchange has ended."""
        connection.draining = self._too_old
        self._lanes[connection.route].update(connection, room=False)

    @property
    def _too_old(self) -> str:
        return f"older than max_connection_age={self.limits.max_connection_age:g} s allows"

    def spent(self, connection: Connection) -> str | None:
        """Return why an idle connection must be closed, or None.  Takes what has arrived on it."""
        limits = self.limits
        idle = connection.idle()
        if limits.keepalive_expiry is not None and idle >= limits.keepalive_expiry:
            return f"idle for {idle:.3f} s (keepalive_expiry={limits.keepalive_expiry:g})"
        if connection.life.aged:
            return self._too_old
        if not connection.probe():
            return "the peer has ended it"
        asked = connection.life.asked_for()
        return UNANSWERED if asked is not None and asked >= limits.ping_timeout else None

    def serve(self, lane: PoolLane) -> None:
        """Give what is free to those who wait, after a change in this lane.

        What that changes in turn, by closing connections, is taken up when it is done: nothing recurses.
        """
        self._due[lane] = None
        if self._serving:
            return
        self._serving = True
        try:
            while self._due:
                due = next(iter(self._due))
                del self._due[due]
                if self._line:
                    self._serve_lane(due)
                    self._serve_places()
                self._trim()
                self._relief.review()
        finally:
            self._serving = False

    def _serve_lane(self, lane: PoolLane) -> None:
        """Give streams on connections in use to those who wait in their own lane."""
        while lane.waiters and lane.ready:
            connection = next(reversed(lane.ready))
            if not connection.streams:
                break  # an idle connection is a place: whoever is oldest has a claim to it
            if self._fit(connection):
                next(iter(lane.waiters)).give(self._open(lane, connection))
        self._tell(lane)

    def _tell(self, lane: PoolLane) -> None:
        """Tell of a change in a lane: the line, and, when a dial for all who wait begins or ends, those in a hurry."""
        self._line.note(lane)
        if lane.waiters and lane.note_dial(monotonic()):
            for waiter in lane.hurried:
                waiter.bell.ring()

    def _serve_places(self) -> None:
        """Give places in order of arrival over all lanes."""
        while self._has_place and (lane := self._line.first()) is not None and self._serve_place(lane):
            self._tell(lane)

    @property
    def _has_place(self) -> bool:
        return bool(self._idle) or self._permits is None or self._permits.counter > 0

    def _serve_place(self, lane: PoolLane) -> bool:
        decision = lane.decide()
        if isinstance(decision, Connection):
            if self._fit(decision):
                next(iter(lane.waiters)).give(self._open(lane, decision))
            return True
        if not self._take_permit(evict=not lane.probing):
            return False
        lane.dials += 1
        next(iter(lane.waiters)).give(PLACE)
        return True

    def _take_permit(self, *, evict: bool) -> bool:
        if self._permits is None or self._permits.acquire(blocking=False):
            return True
        if not self._idle or not evict:
            return False
        oldest = next(iter(self._idle))
        lane = self._lanes[oldest.route]
        lane.remove(oldest)
        self._tell(lane)
        self._idle.pop(oldest)
        oldest.close(NEEDED)
        return True  # the permit of the evicted connection goes on with the new one

    def _release(self) -> None:
        if self._permits is not None:
            self._permits.release()

    def _trim(self) -> None:
        """Close what is idle beyond max_keepalive_connections, and see that the rest is watched."""
        while self._max_idle is not None and len(self._idle) > self._max_idle:
            surplus = next(iter(self._idle))
            self._idle.pop(surplus)
            surplus.close(f"more idle connections than max_keepalive_connections={self._max_idle}")
        if self._idle and (self._reaper is None or self._reaper.dead) and not self.closed:
            self._reaper = reaper.start(self)

    def try_again(self, lane: PoolLane) -> None:
        """Let a lane dial again whose last dial failed."""
        lane.reluctant = False
        self._line.note(lane)
        self.serve(lane)

    def resume(self, connection: Connection) -> None:
        """Let a connection take new exchanges again whose place is no longer wanted."""
        connection.draining = ""
        self.update(connection)

    # -- ends ----------------------------------------------------------------------------------

    def close(self) -> None:
        """Close every connection, and wake every request that waits or reads with CloseError.  May be called twice."""
        self.closed = True
        for timer in (self._relief, self._pulse, self._vigil):
            timer.stop()
        if self._reaper is not None:
            self._reaper.kill(block=False)
            self._reaper = None
        for leash in tuple(self.leashes):
            leash.call_off(CloseError("the client was closed while a connection was being made"))
        for lane in self.lanes:
            self.fail_waiters(
                lane, CloseError("the client was closed while the request waited for a connection")
            )
        for connection in tuple(self.connections):
            connection.close(
                "the client was closed", CloseError("the client was closed while a request was open")
            )

    def retire(self) -> None:
        """Keep nothing idle from now on: what a Client does that nobody refers to any more."""
        self._max_idle = 0
        self._trim()
        if self._reaper is not None:
            self._reaper.kill(block=False)

    def abandon(self) -> None:
        """Close the copies of all sockets in a forked child, and nothing else: they belong to the parent."""
        for connection in tuple(self.connections):
            connection.abandon()
        for timer in (self._relief, self._pulse, self._vigil):
            timer.stop()

    def dump(self) -> str:
        """Return the state of the pool as text."""
        return report.dump(self)
