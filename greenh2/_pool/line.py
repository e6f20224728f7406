"""The line: the lanes in which requests wait, and which of them is next for a place.

However many wait, a change in a lane costs the logarithm of their number: the order is kept in a heap, of which what is
out of date is dropped when it comes to the top.
"""

from __future__ import annotations

from collections.abc import Iterator
from heapq import heapify, heappop, heappush
from itertools import count
from typing import Final

from greenh2._connection.connection import Connection
from greenh2._pool.lane import Lane
from greenh2._pool.waiter import Waiter

PoolLane = Lane[Connection, Waiter]
#: Of the heap, what is out of date may be as much as what is not, and this much more.
_LITTER: Final = 64


class Line:
    """Must be told of every change in a lane; never switches greenlets."""

    __slots__ = ("_heap", "_numbers", "_waiting")

    def __init__(self) -> None:
        self._waiting: dict[PoolLane, None] = {}
        self._heap: list[tuple[tuple[bool, float], int, PoolLane]] = []
        self._numbers = count()

    def __bool__(self) -> bool:
        """Whether any request waits."""
        return bool(self._waiting)

    def __iter__(self) -> Iterator[PoolLane]:
        """Return the lanes whose oldest request needs a place, the next one first."""
        ranked = [(lane.rank, lane) for lane in self._waiting if lane.rank is not None]
        return iter([lane for _, lane in sorted(ranked, key=lambda pair: pair[0])])

    def note(self, lane: PoolLane) -> None:
        """Take note of a change in a lane."""
        if not lane.waiters:
            if self._waiting.pop(lane, lane) is None:
                lane.rank = None
                if not self._waiting:
                    self._heap.clear()
            return
        self._waiting[lane] = None
        rank = _rank(lane)
        if rank != lane.rank:
            lane.rank = rank
            if rank is not None:
                self._push(rank, lane)

    def first(self) -> PoolLane | None:
        """Return the lane that is next for a place, None when no request needs one."""
        while self._heap:
            rank, _, lane = self._heap[0]
            if rank == lane.rank:
                return lane
            heappop(self._heap)
        return None

    def _push(self, rank: tuple[bool, float], lane: PoolLane) -> None:
        heappush(self._heap, (rank, next(self._numbers), lane))
        if len(self._heap) > 2 * len(self._waiting) + _LITTER:
            # Made anew: a lane that needs a place, and none, and the same again, is in the heap once for each time.
            self._heap = [
                (one.rank, next(self._numbers), one) for one in self._waiting if one.rank is not None
            ]
            heapify(self._heap)


def _rank(lane: PoolLane) -> tuple[bool, float] | None:
    """Return where in line a lane is: in order of arrival, behind all others while it is at its first connection.

    A dial that has failed counts as a new arrival.  None when a place would help nobody here.
    """
    if not lane.hungry:
        return None
    return lane.probing, max(lane.stumbled, next(iter(lane.waiters)).arrival)
