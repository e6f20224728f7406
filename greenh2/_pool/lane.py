"""A lane: what a pool knows of one route, and the decision of what its next request does.

Pure: no I/O, no waiting, no clock.  The pool feeds it facts and carries out what it decides.
"""

from __future__ import annotations

from collections.abc import Hashable
from enum import Enum
from typing import Generic, Protocol, TypeVar

from greenh2._models.route import Route


class Carrier(Protocol):
    """What a lane asks of a connection."""

    @property
    def streams(self) -> int:
        """How many places on it are held."""

    @property
    def usable(self) -> bool:
        """Whether it may take exchanges now or later."""

    @property
    def greeting(self) -> bool:
        """Whether the peer has yet to say how many exchanges it allows."""

    @property
    def suspended(self) -> bool:
        """Whether the peer allows no exchanges on it for now."""

    def __hash__(self) -> int: ...


C = TypeVar("C", bound=Carrier)
W = TypeVar("W", bound=Hashable)


class Choice(Enum):
    """What the next request of a lane does where no connection has room for it."""

    #: Make a new connection, if the pool has a place for it.
    DIAL = "dial"
    #: Nothing can be done until something changes in this lane.
    WAIT = "wait"


class Lane(Generic[C, W]):
    """The connections, dials and waiting requests of one route."""

    __slots__ = (
        "_dialed",
        "_dialing",
        "connections",
        "dials",
        "greeting",
        "hurried",
        "limit",
        "multiplexed",
        "rank",
        "ready",
        "reluctant",
        "route",
        "stumbled",
        "suspended",
        "waiters",
    )

    def __init__(self, route: Route, *, multiplexed: bool | None, limit: int | None) -> None:
        self.route = route
        #: True: many streams on a connection; False: one; None: ALPN has not said yet.
        self.multiplexed = multiplexed
        #: The most connections that this route may have (None: no bound).
        self.limit = limit
        self.connections: dict[C, None] = {}
        #: Those with room for another exchange; the last one is used first.
        self.ready: dict[C, None] = {}
        #: Those whose peer has yet to say how many exchanges it allows, and those on which it allows none for now.
        self.greeting: set[C] = set()
        self.suspended: set[C] = set()
        #: In order of arrival.
        self.waiters: dict[W, None] = {}
        #: Connections that are being made.
        self.dials = 0
        #: Whether the last dial failed: while there is a connection that works, no other is tried.
        self.reluctant = False
        #: When the last dial failed (`time.monotonic`); 0 when it did not.
        self.stumbled = 0.0
        #: Where in line for a place it was when that was noted last, if it was.
        self.rank: tuple[bool, float] | None = None
        #: For how long all in all there was a dial that serves all who wait, and since when there is one.
        self._dialed = 0.0
        self._dialing: float | None = None
        #: Those who wait, and must be told at once when such a dial begins or ends: they would wait too long otherwise.
        self.hurried: dict[W, None] = {}

    def decide(self) -> C | Choice:
        """Return the connection that the oldest waiting request should use now, or what else it should do."""
        if self.ready:
            return next(reversed(self.ready))
        if self.dials and self.multiplexed is not False:
            return Choice.WAIT  # one dial serves all who ask: its answer is worth waiting for
        if self.limit is not None and len(self.connections) + self.dials >= self.limit:
            return Choice.WAIT
        if self.reluctant and self.alive:
            return Choice.WAIT
        if self.multiplexed and self.suspended:
            return Choice.WAIT  # another connection would not be told more, or be allowed more
        return Choice.DIAL

    @property
    def hungry(self) -> bool:
        """Whether a request waits here that a free place in the pool would help."""
        return bool(self.waiters) and self.decide() is not Choice.WAIT

    @property
    def confined(self) -> bool:
        """Whether only the connections of this lane can help the waiting requests: it has as many as it may have."""
        full = self.limit is not None and len(self.connections) >= self.limit
        if not full or self.dials or self.ready or self.suspended:
            return False
        return all(connection.streams for connection in self.connections)

    @property
    def probing(self) -> bool:
        """Whether a first connection is being made, of which nobody knows yet whether it comes to anything.

        Meanwhile others come first, and keep what they have: an origin that cannot be reached would take all places.
        """
        return self.dials > 0 and not self.alive

    @property
    def shares_dial(self) -> bool:
        """Whether the waiting requests wait for a connection that is being made, not for a place."""
        if self.multiplexed is False:
            return False
        return bool(self.dials or self.greeting)

    def dialed(self, now: float) -> float:
        """Return for how long all in all there was a dial that serves all who wait (seconds)."""
        return self._dialed if self._dialing is None else self._dialed + now - self._dialing

    def note_dial(self, now: float) -> bool:
        """Note whether there is such a dial now; tell whether that is news."""
        if self.shares_dial == (self._dialing is not None):
            return False
        self._dialed = self.dialed(now)
        self._dialing = now if self._dialing is None else None
        return True

    @property
    def stranded(self) -> bool:
        """Whether the waiting requests have nothing to hope for but a dial that is under way."""
        return self.shares_dial and not self.alive

    @property
    def alive(self) -> bool:
        """Whether there is a connection that works."""
        return any(connection.usable for connection in self.connections)

    @property
    def deserted(self) -> bool:
        """Whether nothing is left to be remembered but the protocol."""
        return not (self.connections or self.waiters or self.dials)

    def add(self, connection: C) -> None:
        """Take a new connection, not ready yet."""
        self.connections[connection] = None
        self.reluctant = False
        self.stumbled = 0.0
        self.update(connection, room=False)

    def update(self, connection: C, *, room: bool) -> None:
        """Note whether a connection has room, and may have more soon."""
        if connection not in self.connections:
            return
        if room:
            self.ready[connection] = None
        else:
            self.ready.pop(connection, None)
        if self.multiplexed is not False or self.suspended or self.greeting:
            (self.greeting.add if connection.greeting else self.greeting.discard)(connection)
            (self.suspended.add if connection.suspended else self.suspended.discard)(connection)

    def remove(self, connection: C) -> bool:
        """Forget a connection; False when it was not here."""
        self.ready.pop(connection, None)
        self.greeting.discard(connection)
        self.suspended.discard(connection)
        return self.connections.pop(connection, self) is None
