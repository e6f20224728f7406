"""To acquire is to come by an exchange: a request waits in its lane, and dials, in its own greenlet and its own time.

This is where the pool switches greenlets.  Whatever ends a wait or a dial, a kill included, is told to the pool, which
takes back what was granted.
"""

from __future__ import annotations

import os
from time import monotonic

from greenh2._connection.exchange import Exchange
from greenh2._errors import ConnectError, ConnectTimeout, TimeoutException, TotalTimeout, TransportError
from greenh2._models.route import Route
from greenh2._models.timeouts import Deadline
from greenh2._models.trace import Trace
from greenh2._net.bell import Leash
from greenh2._pool import report
from greenh2._pool.pool import Pool
from greenh2._pool.waiter import Grant, Holder, Waiter


def acquire(pool: Pool, route: Route, deadline: Deadline, holder: Holder, trace: Trace | None) -> Exchange:
    """Return an exchange on a connection to the route, waiting and dialing as needed.

    Raises PoolTimeout (no place or stream in time), ConnectTimeout, ConnectError, TotalTimeout, and CloseError
    when the client is closed meanwhile.  Whatever else is raised inside passes through; nothing stays taken.
    """
    lane = pool.lane(route)
    exchange = None if lane.waiters else pool.take_ready(lane)
    while exchange is None:
        exchange = _wait(pool, Waiter(lane, holder, deadline), trace)
        if not exchange.connection.admits():  # it ended, or allows fewer streams, since it was given
            exchange.close()
            exchange, lane = None, pool.lane(route)
    exchange.holder = holder
    return exchange


def _wait(pool: Pool, waiter: Waiter, trace: Trace | None) -> Exchange:
    while True:
        grant = _granted(pool, waiter)
        if isinstance(grant, TransportError):
            raise grant
        exchange = grant if isinstance(grant, Exchange) else _dial(pool, waiter, trace)
        if exchange is not None:
            return exchange


def _granted(pool: Pool, waiter: Waiter) -> Grant | None:
    """Return what a request was given after it has waited in the queue."""
    waiter.grant = None
    pid = os.getpid()
    try:
        pool.line_up(waiter)
        while waiter.queued():
            waiter.wait()
            if os.getpid() != pid:
                raise ConnectError(
                    "the process was forked while the request waited for a connection: its parent sends it"
                )
            if waiter.queued() and waiter.late:
                raise _too_late(pool, waiter)
    except BaseException:
        pool.withdraw(waiter)
        raise
    return waiter.grant


def _too_late(pool: Pool, waiter: Waiter) -> TimeoutException:
    phase = waiter.phase
    deadline = waiter.deadline
    if phase == "connect":
        for connection in tuple(waiter.lane.greeting):  # made long ago, and has not said SETTINGS
            connection.distrust(waiter.since)
        return deadline.error("connect", _no_connection(waiter))
    return deadline.error("pool", report.explain(pool, waiter))


def _no_connection(waiter: Waiter) -> str:
    return f"no connection to {waiter.lane.route.origin} within {waiter.spent['connect']:.3g} s"


def _dial(pool: Pool, waiter: Waiter, trace: Trace | None) -> Exchange | None:
    """Make a connection; None when that failed, and a stream on what there is can be waited for."""
    lane = waiter.lane
    leash = Leash()
    pool.leashes[leash] = None
    began = monotonic()
    try:
        seconds = waiter.left("connect")
        if seconds == 0 and waiter.spent["connect"]:  # by dials of its own that failed, or by those of others
            raise ConnectTimeout(_no_connection(waiter))
        connection = pool.dialer(lane.route, seconds, trace, leash)
    except BaseException as exc:
        failure = exc if isinstance(exc, TransportError) and not isinstance(exc, TimeoutException) else None
        if failure is not None and lane.stranded:
            pool.fail_waiters(lane, failure)
        if isinstance(exc, TransportError):
            lane.stumbled = monotonic()
        waits = failure is not None and lane.alive and not pool.closed
        lane.reluctant = lane.reluctant or waits  # that of another dial is not undone by a timeout or a kill
        pool.end_dial(lane)
        pool.serve(lane)
        if waits:
            waiter.spent["connect"] += monotonic() - began
            return None
        if isinstance(exc, TimeoutException):
            late = waiter.deadline.error("connect", str(exc))
            if isinstance(late, TotalTimeout):  # which was what the dial had left
                raise late from exc
        raise
    finally:
        del pool.leashes[leash]
    return pool.join(lane, connection)
