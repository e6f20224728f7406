"""Turns: connections with many answers are read one after the other, each when those whom the last one served have run.

What is read wakes greenlets, which run once the loop has called all its watchers.  Of eight connections with a hundred
answers each, eight hundred responses would lie about until the first greenlet looks at its own, and by then the
caches of the processor would hold none of it.  Nothing here switches greenlets.
"""

from __future__ import annotations

from collections.abc import Callable
from time import monotonic
from typing import Final

import gevent

#: With fewer exchanges on it a connection does not take turns: what it brings is soon looked at (their number).
MANY: Final = 32
#: A turn of which no end was heard is over (seconds): a handler of signals may have raised in its midst.
_LONGEST: Final = 0.05


class Turns:
    """Who of the connections of one hub is read, and who waits for that."""

    __slots__ = ("_hub", "_until", "_waiting")

    def __init__(self) -> None:
        self._hub = gevent.get_hub()
        self._waiting: dict[Callable[[], None], None] = {}
        #: When the turn of somebody ends at the latest (`time.monotonic`).
        self._until = 0.0

    def take(self, read: Callable[[], None]) -> None:
        """Call this, at once if nobody else has a turn, or as soon as that and those before have ended.

        It must bear to be called when there is nothing to be done any more.
        """
        if monotonic() < self._until:
            self._waiting[read] = None
        else:
            self._begin(read)

    def _begin(self, read: Callable[[], None]) -> None:
        self._until = monotonic() + _LONGEST
        try:
            read()
        finally:
            self._hub.loop.run_callback(self._end)  # behind all that were woken

    def _end(self) -> None:
        self._until = 0.0
        if self._waiting:
            read = next(iter(self._waiting))
            del self._waiting[read]
            self._begin(read)
