"""Deadlocks: requests without any time limit that wait for places held by greenlets which wait themselves.

No event can ever help them, so that they must be told.  Where some of the places were left behind by greenlets that are
gone, the collector may find them: where nothing else happens, nothing calls it.
"""

from __future__ import annotations

import gc
from collections.abc import Iterable
from typing import TYPE_CHECKING

from greenh2._connection.connection import Connection
from greenh2._errors import PoolTimeout
from greenh2._pool import report
from greenh2._pool.waiter import Holder, Waiter

if TYPE_CHECKING:
    from greenh2._pool.line import PoolLane
    from greenh2._pool.pool import Pool

#: Greenlets; None stands for those that are gone.
Greenlets = set[object | None]


class Deadlocks:
    """Who waits for ever, as it is at one moment; found out when it is asked for, and kept until something is done."""

    __slots__ = ("_held", "_pool")

    def __init__(self, pool: Pool) -> None:
        self._pool = pool
        self._held: dict[PoolLane, Greenlets] | None = None

    def resolve(self, waiter: Waiter) -> bool:
        """Do what helps a request that waits for ever: tell it so, or call the collector; tell whether it did.

        Nothing is done for a request with a time limit, and the collector is called once for each.
        """
        held = self._holders(waiter)
        if not held or (None in held and waiter.searched):
            return False
        self._held = None
        if None in held:
            waiter.searched = True
            gc.collect()
        else:
            self._pool.refuse(waiter, PoolTimeout(report.explain(self._pool, waiter)))
        return True

    def _holders(self, waiter: Waiter) -> Greenlets:
        """Return the greenlets that hold all that a request waits for, if each of them waits for ever, or is gone."""
        if not waiter.unbounded:
            return set()
        if self._held is None:
            self._held = _held_for_ever(self._pool)
        return self._held.get(waiter.lane, set())


def _held_for_ever(pool: Pool) -> dict[PoolLane, Greenlets]:
    held = _held(pool)
    while True:
        stuck = {other.holder.greenlet for lane in held for other in lane.waiters if other.unbounded} | {None}
        still = {lane: greenlets for lane, greenlets in held.items() if greenlets <= stuck}
        if len(still) == len(held):
            return held
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
    """Return the greenlets that hold places; none if any of them is waiting for its response, or any place is free."""
    greenlets: Greenlets = set()
    for connection in connections:
        if not connection.streams:
            return set()  # it rests, and is about to be given away
        for exchange in connection.exchanges:
            holder = exchange.holder
            if not isinstance(holder, Holder) or exchange.awaited:
                return set()
            greenlets.add(holder.greenlet)
    return greenlets
