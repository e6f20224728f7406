"""A bell: one greenlet waits at it, anybody on the same hub rings it.

Ringing never switches greenlets and may be done from a callback of the hub.  Waiting is safe to kill: a ring that
comes too late hits nobody.
"""

from __future__ import annotations

import os
from time import monotonic

from gevent import get_hub
from gevent.hub import Waiter

from greenh2._errors import ConnectError

#: No timer is set for less or for more than this (seconds): libuv counts milliseconds, in 64 bits; 1e9 are 30 years.
SHORTEST = 0.001
LONGEST = 1e9


def end_of(seconds: float | None, since: float | None = None) -> float | None:
    """Return when so many seconds are over that began then, or now (`time.monotonic`); None without bound."""
    return None if seconds is None else (monotonic() if since is None else since) + seconds


class Bell:
    """Remembers one ring until somebody waits for it."""

    __slots__ = ("_rung", "_waiter")

    def __init__(self) -> None:
        self._rung = False
        self._waiter: Waiter[None] | None = None

    @property
    def awaited(self) -> bool:
        """Whether a greenlet is waiting at this moment."""
        return self._waiter is not None

    def ring(self) -> None:
        """Wake the waiting greenlet in the next turn of the loop, or let the next `wait` return at once."""
        waiter = self._waiter
        if waiter is None:
            self._rung = True
        else:
            self._waiter = None
            waiter.hub.loop.run_callback(waiter.switch, None)

    def wait(self, seconds: float | None) -> bool:
        """Wait for a ring, at most so many seconds (None: without bound); False when the time is over.  Switches."""
        if self._rung:
            self._rung = False
            return True
        if seconds is not None and seconds <= 0:
            return False
        hub = get_hub()
        waiter: Waiter[None] = Waiter(hub)
        self._waiter = waiter
        if seconds is None:
            try:
                waiter.get()
            finally:
                self._waiter = None
            return True
        timer = hub.loop.timer(min(max(seconds, SHORTEST), LONGEST))
        timer.start(waiter.switch, None, update=True)
        try:
            waiter.get()
            return self._waiter is None  # a ring in the same turn as the timer still counts
        finally:
            self._waiter = None
            timer.stop()
            timer.close()


class Leash:
    """The waits of one job at one bell, which somebody else may end by calling the job off.

    A forked child gets a copy of the greenlet that waits here, over the same sockets: for it the job is over.
    """

    __slots__ = ("_error", "_pid", "bell")

    def __init__(self) -> None:
        self.bell = Bell()
        self._error: Exception | None = None
        self._pid = os.getpid()

    def call_off(self, error: Exception) -> None:
        """Let the present wait, or the next one, raise this error.  Never switches greenlets."""
        self._error = error
        self.bell.ring()

    def wait(self, seconds: float | None) -> bool:
        """Wait as the bell does.  Switches greenlets.

        Raises the error if the job was called off, and ConnectError in a forked child.
        """
        rung = self.bell.wait(seconds) if self._error is None else True
        if self._error is not None:
            raise self._error
        if os.getpid() != self._pid:
            raise ConnectError(
                "the process was forked while a connection was being made, which is its parent's"
            )
        return rung
