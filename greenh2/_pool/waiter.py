"""Who waits for a place and who holds one: the nouns of the pool."""

from __future__ import annotations

import weakref
from itertools import islice
from time import monotonic
from typing import TypeAlias

from gevent import getcurrent

from greenh2._connection.connection import Connection
from greenh2._connection.exchange import Exchange
from greenh2._errors import TransportError
from greenh2._models.request import Request
from greenh2._models.timeouts import Deadline
from greenh2._net.bell import Bell
from greenh2._pool.lane import Lane


class Place:
    """The right to dial one connection: a permit of the pool's semaphore, and a dial noted in the lane."""

    __slots__ = ()


#: One is like another.
PLACE = Place()
#: How a wait ends.
Grant: TypeAlias = Exchange | Place | TransportError


class Holder:
    """A request as reports name it: what it asks for, since when, and which greenlet has it in hand."""

    __slots__ = ("_greenlet", "_request", "since")

    def __init__(self, request: Request) -> None:
        self._request = request
        self.since = monotonic()
        self._greenlet = weakref.ref(getcurrent())

    @property
    def label(self) -> str:
        """The method and the URL, without credentials."""
        return f"{self._request.method} {self._request.url.redacted}"

    def __str__(self) -> str:
        return self.label

    def take(self) -> None:
        """Note that the present greenlet has the request in hand from now on."""
        greenlet = getcurrent()
        if self._greenlet() is not greenlet:
            self._greenlet = weakref.ref(greenlet)

    @property
    def greenlet(self) -> object | None:
        """The greenlet that made the request, or has read of its response last; None when it has ended."""
        greenlet = self._greenlet()
        return None if greenlet is None or greenlet.dead else greenlet


class Waiter:
    """One request in the queue of its lane, until it is granted an exchange, a place to dial, or an error."""

    __slots__ = ("arrival", "bell", "deadline", "grant", "holder", "lane", "searched", "since", "spent")

    def __init__(self, lane: Lane[Connection, Waiter], holder: Holder, deadline: Deadline) -> None:
        self.lane = lane
        self.holder = holder
        self.deadline = deadline
        #: A request that is sent again keeps its turn: what counts is when it was first made.
        self.arrival = deadline.started_at
        self.since = monotonic()
        self.bell = Bell()
        #: Whether the collector was called for its sake.
        self.searched = False
        self.grant: Grant | None = None
        #: Seconds waited so far, by phase: for a place or a stream, and for somebody's dial.
        self.spent = {"pool": 0.0, "connect": 0.0}

    def queued(self) -> bool:
        """Whether nothing has been granted yet."""
        return self.grant is None

    @property
    def unbounded(self) -> bool:
        """Whether nothing will end the wait but a grant."""
        return self.deadline.timeout.pool is None and self.deadline.expires_at is None

    def left(self, phase: str) -> float | None:
        """Return the seconds left of a phase, within the total; None without bound."""
        seconds: float | None = getattr(self.deadline.timeout, phase)
        bounds = [
            self.deadline.remaining(),
            None if seconds is None else max(0.0, seconds - self.spent[phase]),
        ]
        return min((bound for bound in bounds if bound is not None), default=None)

    @property
    def late(self) -> bool:
        """Whether the time of the present phase is over."""
        left = self.left(self.phase)
        return left is not None and left <= 0

    def wait(self) -> None:
        """Wait for the bell, at most as long as the present phase allows.  Switches greenlets.

        A phase that begins meanwhile may allow less.  If it could be half as much, the wait ends when it would be over,
        to look again; if it could be less still, the lane tells.  So a dial that begins or ends wakes few, and whoever
        is woken for nothing is so a few times.
        """
        lane, phase = self.lane, self.phase
        seconds, other = self.left(phase), self.left("pool" if phase == "connect" else "connect")
        if other is not None and (seconds is None or other < seconds):
            if seconds is not None and other >= seconds / 2:
                seconds = other
            else:
                lane.hurried[self] = None
        before = monotonic()
        dialed = lane.dialed(before)
        try:
            self.bell.wait(seconds)
        finally:
            lane.hurried.pop(self, None)
            now = monotonic()
            connecting = lane.dialed(now) - dialed
            self.spent["connect"] += connecting
            self.spent["pool"] += now - before - connecting

    @property
    def phase(self) -> str:
        """What this wait is for: "connect" while a dial is under way that serves it too, else "pool"."""
        return "connect" if self.lane.shares_dial else "pool"

    def line_up(self) -> None:
        """Enter the queue of the lane, behind all that arrived before."""
        waiters = self.lane.waiters
        waiters[self] = None
        if len(waiters) > 1 and next(islice(reversed(waiters), 1, None)).arrival > self.arrival:
            in_order = sorted(waiters, key=lambda waiter: waiter.arrival)
            waiters.clear()
            waiters.update(dict.fromkeys(in_order))

    def give(self, grant: Grant) -> None:
        """Leave the queue with a grant."""
        del self.lane.waiters[self]
        self.grant = grant
        self.bell.ring()
