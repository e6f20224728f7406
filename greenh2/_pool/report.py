"""What a pool tells of itself: why a request waited in vain, and who holds what."""

from __future__ import annotations

from collections import Counter
from time import monotonic
from typing import TYPE_CHECKING

from gevent import Greenlet

from greenh2._connection.connection import Connection
from greenh2._connection.exchange import Exchange
from greenh2._pool.waiter import Holder, Waiter

if TYPE_CHECKING:
    from greenh2._pool.pool import Pool

#: What a PoolTimeout names of each kind; thousands of requests may run out of time at once.
_MOST_NAMED = 10
#: For how long the text for one of them serves the next (seconds).
_FRESH = 0.05


def explain(pool: Pool, waiter: Waiter) -> str:
    """Return the text of a PoolTimeout: how long, for what, held by whom, and what to do."""
    waited = monotonic() - waiter.since
    origin = waiter.lane.route.origin
    excerpt = _excerpt(pool)
    return (
        f"{waiter.holder.label} waited {waited:.3f} s for a connection to {origin} and got none "
        f"({_limits(pool)}).\n{excerpt.text}\nHint: {_hint(excerpt, waiter)}"
    )


class Excerpt:
    """What PoolTimeouts tell of a pool at one moment: the beginnings of what `dump` tells, and what to make of it."""

    __slots__ = ("exchanges", "moment", "text", "unread")

    def __init__(self, pool: Pool) -> None:
        self.moment = monotonic()
        self.text = dump(pool, most=_MOST_NAMED)
        exchanges = [exchange for connection in pool.connections for exchange in connection.exchanges]
        #: How many requests hold a place.
        self.exchanges = len(exchanges)
        #: How many responses are not being read, by the greenlets (their ids) that made the requests.
        self.unread = Counter(
            id(exchange.holder.greenlet) if isinstance(exchange.holder, Holder) else 0
            for exchange in exchanges
            if exchange.head is not None and not exchange.awaited
        )


def _excerpt(pool: Pool) -> Excerpt:
    """Return the same to all who ask at about the same time, who may be many, of a pool that may be large."""
    excerpt = pool.excerpt
    if excerpt is None or monotonic() - excerpt.moment > _FRESH:
        excerpt = pool.excerpt = Excerpt(pool)
    return excerpt


def dump(pool: Pool, most: int | None = None) -> str:
    """Return the connections of a pool, the requests that hold them, and how many wait; so many of each at most."""
    connections = sorted(pool.connections, key=lambda connection: connection.number)
    dials = sum(lane.dials for lane in pool.lanes)
    limit = pool.limits.max_connections
    bound = "no limit" if limit is None else f"at most {limit}"
    lines = [f"Connections: {len(connections)} open, {dials} being made, {bound}."]
    for connection in connections[:most]:
        lines.append(f"  {_connection(connection)}")
        exchanges = tuple(connection.exchanges)
        lines += [f"    {_exchange(exchange)}" for exchange in exchanges[:most]]
        lines += _rest("    ", len(exchanges), most)
    lines += _rest("  ", len(connections), most)
    waiting = [(lane, len(lane.waiters)) for lane in pool.lanes if lane.waiters]
    lines.append(f"Requests waiting: {sum(count for _, count in waiting)}.")
    for lane, count in waiting[:most]:
        oldest = monotonic() - next(iter(lane.waiters)).since
        lines.append(f"  {lane.route.origin}: {count}, the oldest for {oldest:.3f} s")
    lines += _rest("  ", len(waiting), most)
    return "\n".join(lines)


def _rest(indent: str, count: int, most: int | None) -> list[str]:
    return [] if most is None or count <= most else [f"{indent}... and {count - most} more"]


def _limits(pool: Pool) -> str:
    limits = pool.limits
    named = [f"max_connections={limits.max_connections}"]
    if limits.max_connections_per_origin is not None:
        named.append(f"max_connections_per_origin={limits.max_connections_per_origin}")
    if limits.max_streams_per_connection is not None:
        named.append(f"max_streams_per_connection={limits.max_streams_per_connection}")
    return ", ".join(named)


def _connection(connection: Connection) -> str:
    allowed = connection.protocol.streams_allowed
    of = "" if allowed == float("inf") else f" of {allowed:.0f}"
    idle = f", idle for {connection.idle():.3f} s" if not connection.streams else ""
    draining = ", takes no new requests" if not connection.usable else ""
    return (
        f"#{connection.number} {connection.route} {connection.protocol.name}, {connection.streams}{of} streams, "
        f"{connection.requests} requests so far, {connection.age():.3f} s old{idle}{draining}"
    )


def _exchange(exchange: Exchange) -> str:
    holder = exchange.holder
    if not isinstance(holder, Holder):
        return "about to be used"
    held = monotonic() - holder.since
    if exchange.head is None:
        state = "waiting for the response"
    elif exchange.awaited:
        state = "reading the body"
    else:
        state = "the body is not being read"
    return f"{holder.label}: for {held:.3f} s, {state}, by {_greenlet(holder.greenlet)}"


def _greenlet(greenlet: object | None) -> str:
    """Name a greenlet, and what it runs, but not the arguments: a URL among them may hold a password."""
    if greenlet is None:
        return "a greenlet that is gone"
    if not isinstance(greenlet, Greenlet):
        return repr(greenlet)
    named = f' "{greenlet.name}"' if "name" in vars(greenlet) else ""
    run = getattr(greenlet, "_run", None)
    runs = getattr(run, "__qualname__", type(run).__name__)
    return f"<{type(greenlet).__name__}{named} at {id(greenlet):#x}: {runs}>"


def _hint(excerpt: Excerpt, waiter: Waiter) -> str:
    mine = excerpt.unread[id(waiter.holder.greenlet)]
    if mine:
        return (
            f"this greenlet itself holds {mine} response(s) that it has not read to the end or closed; "
            "read or close them first, or raise max_connections."
        )
    if unread := excerpt.unread.total():
        return (
            f"{_responses(unread)} streamed and never closed, or not being read; use "
            "'with client.stream(...)' so that they are closed."
        )
    if excerpt.exchanges:
        return "all places are busy: raise Limits(max_connections=...), or the pool timeout, or lower the concurrency."
    return "connections are still being made: raise the pool timeout, or look at why the servers are slow to connect."


def _responses(count: int) -> str:
    return "1 response was" if count == 1 else f"{count} responses were"
