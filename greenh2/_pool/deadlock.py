"""Deadlocks: requests without any time limit that wait for places held by greenlets which wait themselves.

No event can ever help them, so that they must be told.  Where some of the places were left behind by greenlets that are
gone, the collector may find them: where nothing else happens, nothing calls it.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

from greenh2._connection.connection import Connection
from greenh2._errors import PoolTimeout
from greenh2._pool import report
from greenh2._pool.waiter import Holder, Waiter

if TYPE_CHECKING:
    from greenh2._pool.pool import Pool, PoolLane

#: Greenlets; None stands for those that are gone.
Greenlets = set[object | None]


def deadlock(pool: Pool, waiter: Waiter) -> PoolTimeout | None:
    """Return an error for a request without any time limit if all that it waits for is held by who waits too."""
    held = _held_for_ever(pool, waiter)
    if held and None not in held:
        return PoolTimeout(report.explain(pool, waiter))
    return None


def left_behind(pool: Pool, waiter: Waiter) -> bool:
    """Tell whether responses of greenlets that are gone may be all that such a request waits for."""
    return None in _held_for_ever(pool, waiter)


def _held_for_ever(pool: Pool, waiter: Waiter) -> Greenlets:
    """Return the greenlets that hold all that a request waits for, if each of them waits for ever, or is gone."""
    if not waiter.unbounded:
        return set()
    held = _held(pool)
    while True:
        stuck = {other.holder.greenlet for lane in held for other in lane.waiters if other.unbounded} | {None}
        still = {lane: greenlets for lane, greenlets in held.items() if greenlets <= stuck}
        if len(still) == len(held):
            return held.get(waiter.lane, set())
        held = still


def _held(pool: Pool) -> dict[PoolLane, Greenlets]:
    """Return who holds what the requests of each lane wait for, without those that are at work anywhere."""
    anywhere = set() if any(lane.dials for lane in pool.lanes) else _holders(pool.connections)
    held = {
        lane: _holders(lane.connections) if lane.confined else anywhere
        for lane in pool.lanes
        if lane.waiters and (lane.confined or lane.hungry)
    }
    return {lane: greenlets for lane, greenlets in held.items() if greenlets}


def _holders(connections: Iterable[Connection]) -> Greenlets:
    """Return the greenlets that hold places; none if any of them is waiting for its response."""
    greenlets: Greenlets = set()
    for connection in connections:
        for exchange in connection.exchanges:
            holder = exchange.holder
            if not isinstance(holder, Holder) or exchange.awaited:
                return set()
            greenlets.add(holder.greenlet)
    return greenlets
