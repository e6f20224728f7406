"""A Timeout says how long each phase of a request may last; a Deadline is a Timeout that has started."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from enum import Enum
from sys import float_info
from typing import Final, Literal, Union

from greenh2._errors import (
    ConnectTimeout,
    PoolTimeout,
    ReadTimeout,
    TimeoutException,
    TotalTimeout,
    WriteTimeout,
)
from greenh2._models.value import Value


class UnsetType(Enum):
    """The type of UNSET, which tells an argument left out from one given as None."""

    UNSET = "UNSET"

    def __repr__(self) -> str:
        return self.value


class UseClientDefault(Enum):
    """The type of USE_CLIENT_DEFAULT."""

    USE_CLIENT_DEFAULT = "USE_CLIENT_DEFAULT"

    def __repr__(self) -> str:
        return self.value


UNSET: Final = UnsetType.UNSET
"""Not given.  None is a value: it means "no bound"."""

USE_CLIENT_DEFAULT: Final = UseClientDefault.USE_CLIENT_DEFAULT
"""Say of a per-call argument (`auth`, `timeout`, `follow_redirects`) that the client's own setting holds."""

Phase = Literal["connect", "read", "write", "pool"]
TimeoutTypes = Union[
    "Timeout", float, None, tuple["float | None", "float | None", "float | None", "float | None"]
]

_PHASES: Final = ("connect", "read", "write", "pool")
_ERRORS: Final[dict[str, type[TimeoutException]]] = {
    "connect": ConnectTimeout,
    "read": ReadTimeout,
    "write": WriteTimeout,
    "pool": PoolTimeout,
}
# A timer of the event loop may fire this much before the monotonic clock agrees that the time has come.
_TIMER_SLACK: Final = 0.005


class Timeout(Value):
    """Bound the phases of a request, each in seconds; None means no bound.

    `connect` covers DNS, TCP, proxy and TLS; `read` the wait for any next bytes of the response; `write` the
    wait for the peer to take any next bytes; `pool` the wait for a free connection or stream.  `total` covers
    everything from the call to the last byte of the body, redirects and retries included.

    `Timeout(5.0)` gives 5 s to each phase and no total; `Timeout(5.0, read=30.0, total=60.0)` names some
    beside it.  The first argument may also be None, another Timeout, or a tuple (connect, read, write, pool).
    0 means: do not wait at all.

    Raises ValueError when there is no first argument and not all four phases are named (as in httpx); for a
    negative, infinite or NaN number; TypeError for what is no number, booleans included.
    """

    __slots__ = ("connect", "pool", "read", "total", "write")

    connect: float | None
    read: float | None
    write: float | None
    pool: float | None
    total: float | None

    def __init__(
        self,
        timeout: TimeoutTypes | UnsetType = UNSET,
        *,
        connect: float | UnsetType | None = UNSET,
        read: float | UnsetType | None = UNSET,
        write: float | UnsetType | None = UNSET,
        pool: float | UnsetType | None = UNSET,
        total: float | UnsetType | None = UNSET,
    ) -> None:
        base = _five_values(timeout)
        named = (connect, read, write, pool, total)
        names = (*_PHASES, "total")
        for name, given, inherited in zip(names, named, base, strict=True):
            value = inherited if given is UNSET else given
            if value is UNSET:
                raise ValueError(
                    f"Timeout() was not told {name!r}: either give a first argument, as in Timeout(5.0) or "
                    "Timeout(None, total=60.0), or name all of connect, read, write and pool."
                )
            self._set(**{name: _seconds(name, value)})

    def as_dict(self) -> dict[str, float | None]:
        """Return the five bounds by name."""
        return {name: getattr(self, name) for name in (*_PHASES, "total")}

    def __repr__(self) -> str:
        phases = (self.connect, self.read, self.write, self.pool)
        if len(set(phases)) == 1:
            inside = [str(self.connect)]
        else:
            inside = [f"{name}={value}" for name, value in zip(_PHASES, phases, strict=True)]
        if self.total is not None:
            inside.append(f"total={self.total}")
        return f"Timeout({', '.join(inside)})"


def timeout_of(timeout: object) -> Timeout:
    """Return what the extension "timeout" of a request says; a mapping is the form in which httpx carries it."""
    if isinstance(timeout, Timeout):
        return timeout
    return Timeout(**timeout) if isinstance(timeout, Mapping) else Timeout(timeout)  # type: ignore[arg-type]  # checked there


class Deadline:
    """A Timeout that has started: it knows how long each wait may last from now.

    Made at the start of a request and carried through its redirects and retries.  `clock` returns seconds and
    never goes back.
    """

    __slots__ = ("clock", "expires_at", "started_at", "timeout")

    def __init__(self, timeout: Timeout, clock: Callable[[], float] = time.monotonic) -> None:
        self.timeout = timeout
        self.clock = clock
        self.started_at = clock()
        self.expires_at: float | None = None if timeout.total is None else self.started_at + timeout.total

    def remaining(self) -> float | None:
        """Return the seconds left of the total, never below 0.0; None when there is no total."""
        if self.expires_at is None:
            return None
        return max(0.0, self.expires_at - self.clock())

    def limit(self, phase: Phase) -> float | None:
        """Return how many seconds a wait of this phase may last from now; None when nothing bounds it."""
        seconds: float | None = getattr(self.timeout, phase)
        if self.expires_at is None:
            return seconds
        remaining = max(0.0, self.expires_at - self.clock())
        return remaining if seconds is None or remaining < seconds else seconds

    def exceeded(self) -> bool:
        """Tell whether the total has passed."""
        return self.expires_at is not None and self.clock() >= self.expires_at

    def error(self, phase: Phase, message: str) -> TimeoutException:
        """Make the error of a wait that ran out: TotalTimeout if the total has passed, else the phase's own.

        A total that will pass within 5 ms has passed: timers of an event loop may fire that early.
        """
        if self.expires_at is not None and self.clock() + _TIMER_SLACK >= self.expires_at:
            return TotalTimeout(f"{message} (the total timeout of {self.timeout.total:g} s has passed)")
        return _ERRORS[phase](message)

    def __repr__(self) -> str:
        remaining = self.remaining()
        left = "no total" if remaining is None else f"{remaining:.3f} s left"
        return f"<Deadline {left}, {self.timeout!r}>"


def _five_values(default: object) -> tuple[object, object, object, object, object]:
    match default:
        case Timeout():
            return default.connect, default.read, default.write, default.pool, default.total
        case tuple():
            if len(default) != 4:
                raise ValueError(
                    f"A timeout tuple is (connect, read, write, pool), not {default!r}: "
                    "Timeout(5.0, connect=3.0) names one and gives the others the same"
                )
            connect, read, write, pool = default
            return connect, read, write, pool, None
        case _:
            return default, default, default, default, None


def _seconds(name: str, value: object) -> float | None:
    if value is None:
        return None
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        raise TypeError(f"Timeout {name!r} is a number of seconds or None, not {value!r}")
    if not 0 <= value <= float_info.max:
        raise ValueError(f"Timeout {name!r} is 0 or more seconds, or None for no bound, not {value!r}")
    return float(value)
