"""The reaper: a background greenlet that closes what is idle too long, and what the peer has closed.

It starts with the first idle connection and ends with the last.  It holds the pool only while it works, and sleeps
without keeping the loop alive, so that neither the process, nor ``gevent.wait()``, nor a dropped Client stays for it.
"""

from __future__ import annotations

import os
import weakref
from typing import TYPE_CHECKING, TypeAlias

import gevent

from greenh2._models.trace import log

if TYPE_CHECKING:
    from greenh2._pool.pool import Pool

#: An idle connection is looked at this often (seconds): its PINGs are answered, its end is noticed.
TICK = 0.5
#: Connections that are looked at without letting other greenlets run.
_BATCH = 64


Reaper: TypeAlias = "gevent.Greenlet[[weakref.ref[Pool], int], None]"


def start(pool: Pool) -> Reaper:
    """Return the greenlet that watches over a pool's idle connections."""
    greenlet = gevent.spawn(_run, weakref.ref(pool), os.getpid())
    greenlet.name = "greenh2-reaper"
    return greenlet


def _run(reference: weakref.ref[Pool], pid: int) -> None:
    while os.getpid() == pid:
        pool = reference()
        pause = None if pool is None else _sweep(pool, pid)
        del pool
        if pause is None:
            return
        gevent.sleep(pause, ref=False)


def _sweep(pool: Pool, pid: int) -> float | None:
    """Close what must be closed; return the seconds until the next look, None when nothing is idle."""
    for count, connection in enumerate(pool.idle, 1):
        if count % _BATCH == 0:
            gevent.sleep(0)
            if os.getpid() != pid:
                return None
        if connection.closed or connection.streams:
            continue
        if (reason := pool.spent(connection)) is not None and not connection.closed:
            log(
                "connection.reaped",
                connection=connection.number,
                origin=connection.route.origin,
                reason=reason,
            )
            connection.close(reason)
        elif not connection.closed:
            pool.update(connection)  # what it has just said may have changed its room
    idle = pool.idle
    if not idle:
        return None
    if pool.limits.keepalive_expiry is None:
        return TICK
    return min(TICK, max(0.001, pool.limits.keepalive_expiry - idle[0].idle()))
