"""Limits say how many connections a pool keeps, for how long, and how it watches over them."""

from __future__ import annotations

from sys import float_info

from greenh2._models.value import Value

#: To wait awake for longer than this would be nothing but work (seconds).
_LONGEST_POLL = 0.01


class Limits(Value):
    """Bound a pool of connections.  Counts are integers, times are seconds, None means no bound.

    The defaults of the first three are those of httpx's client.

    `max_connections`: open connections in all, busy or idle.
    `max_keepalive_connections`: idle ones among them that are kept; 0 keeps none.
    `keepalive_expiry`: how long an idle one is kept.
    `max_connections_per_origin`: open connections to one origin.
    `max_streams_per_connection`: our own bound on concurrent HTTP/2 streams, besides the peer's.
    `max_connection_age`: an older connection takes no new requests, and closes when its last one ends.
    `ping_interval`: silence on an HTTP/2 connection with open streams before a PING is sent; None sends none.
    `ping_timeout`: how long the answer to that PING may take before the connection counts as dead.
    `fairness_delay`: how long a request may wait for a place before a busy HTTP/2 connection to another
    origin is told to take no more.
    `busy_poll`: answers that take no longer than this on average are waited for awake where there is nothing else to
    do, which is for at most twice as long; 0 never does.  At most 0.01.

    Raises TypeError or ValueError, naming field and value.
    """

    __slots__ = (
        "busy_poll",
        "fairness_delay",
        "keepalive_expiry",
        "max_connection_age",
        "max_connections",
        "max_connections_per_origin",
        "max_keepalive_connections",
        "max_streams_per_connection",
        "ping_interval",
        "ping_timeout",
    )

    max_connections: int | None
    max_keepalive_connections: int | None
    keepalive_expiry: float | None
    max_connections_per_origin: int | None
    max_streams_per_connection: int | None
    max_connection_age: float | None
    ping_interval: float | None
    ping_timeout: float
    fairness_delay: float
    busy_poll: float

    def __init__(
        self,
        *,
        max_connections: int | None = 100,
        max_keepalive_connections: int | None = 20,
        keepalive_expiry: float | None = 5.0,
        max_connections_per_origin: int | None = None,
        max_streams_per_connection: int | None = None,
        max_connection_age: float | None = None,
        ping_interval: float | None = None,
        ping_timeout: float = 15.0,
        fairness_delay: float = 0.1,
        busy_poll: float = 0.00025,
    ) -> None:
        _check_count("max_connections", max_connections, least=1)
        _check_count("max_keepalive_connections", max_keepalive_connections, least=0)
        _check_count("max_connections_per_origin", max_connections_per_origin, least=1)
        _check_count("max_streams_per_connection", max_streams_per_connection, least=1)
        _check_seconds("keepalive_expiry", keepalive_expiry, zero=True, none=True)
        _check_seconds("max_connection_age", max_connection_age, zero=False, none=True)
        _check_seconds("ping_interval", ping_interval, zero=False, none=True)
        _check_seconds("ping_timeout", ping_timeout, zero=False, none=False)
        _check_seconds("fairness_delay", fairness_delay, zero=True, none=False)
        _check_seconds("busy_poll", busy_poll, zero=True, none=False)
        if busy_poll > _LONGEST_POLL:
            raise ValueError(f"Limits 'busy_poll' is at most {_LONGEST_POLL} seconds, not {busy_poll!r}")
        self._set(
            max_connections=max_connections,
            max_keepalive_connections=max_keepalive_connections,
            keepalive_expiry=keepalive_expiry,
            max_connections_per_origin=max_connections_per_origin,
            max_streams_per_connection=max_streams_per_connection,
            max_connection_age=max_connection_age,
            ping_interval=ping_interval,
            ping_timeout=ping_timeout,
            fairness_delay=fairness_delay,
            busy_poll=busy_poll,
        )


def checked_limits(limits: object) -> Limits:
    """Return what ``limits=`` was given.  Raises TypeError when it is none, None included."""
    if not isinstance(limits, Limits):
        raise TypeError(f"limits is greenh2.Limits(...), and Limits() for the defaults, not {limits!r}")
    return limits


def checked_switch(name: str, value: object) -> bool:
    """Return the value of a setting that is on or off.  Raises TypeError for what is no bool: "no" is true."""
    if not isinstance(value, bool):
        raise TypeError(f"{name} is True or False, not {value!r}")
    return value


def _check_count(name: str, value: object, *, least: int) -> None:
    if value is None:
        return
    if isinstance(value, bool) or not isinstance(value, int):
        raise TypeError(f"Limits {name!r} is an integer or None, not {value!r}")
    if value < least:
        raise ValueError(f"Limits {name!r} is at least {least}, or None for no bound, not {value!r}")


def _check_seconds(name: str, value: object, *, zero: bool, none: bool) -> None:
    if value is None and none:
        return
    wanted = ("0 or more" if zero else "more than 0") + " seconds" + (", or None" if none else "")
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        raise TypeError(f"Limits {name!r} is {wanted}, not {value!r}")
    if not 0 <= value <= float_info.max or (value == 0 and not zero):
        raise ValueError(f"Limits {name!r} is {wanted}, not {value!r}")
