"""How old a thing is, told by two clocks, so that neither a stale nor a stepped one decides.

gevent's ``loop.now()`` is cheap and counts time spent in suspend on libev, but it is frozen while a greenlet runs
and follows the wall clock there.  The monotonic clock is never stepped but may stop in suspend.  A stamp holds
both.  Where the system has CLOCK_BOOTTIME (Linux: counts suspend, cannot be stepped) it bounds what the loop's
clock may claim, so that a wall clock set forward does not age anything.
"""

from __future__ import annotations

import time
from typing import NamedTuple

from gevent import get_hub

_BOOTTIME = getattr(time, "CLOCK_BOOTTIME", None)


def _boot_seconds() -> float:
    return time.clock_gettime(_BOOTTIME) if _BOOTTIME is not None else float("inf")


class Stamp(NamedTuple):
    """A moment; only `Clock.age` may read it, and only in the process and thread that made it."""

    loop: float
    monotonic: float
    boot: float


class Clock:
    """Stamps moments and tells how long ago they were, in seconds."""

    __slots__ = ()

    def stamp(self) -> Stamp:
        """Return the present moment, with the loop's clock refreshed first."""
        loop = get_hub().loop
        loop.update_now()
        return Stamp(loop.now(), time.monotonic(), _boot_seconds())

    def age(self, since: Stamp) -> float:
        """Return the seconds since then, never negative; time spent in suspend counts where the system tells it."""
        now = self.stamp()
        boot = now.boot - since.boot if _BOOTTIME is not None else float("inf")
        return max(now.monotonic - since.monotonic, min(now.loop - since.loop, boot), 0.0)
