"""The life of a connection: how old it is, how long it rests, and the signs of life that its peer gives."""

from __future__ import annotations

from time import monotonic

from greenh2._net.clock import Clock

#: What our PINGs carry (RFC 9113 section 6.7: 8 bytes of any value).
PAYLOAD = b"greenh2?"


class Life:
    """Knows no network: whoever reads tells it, whoever wants to know asks it.  Times are in seconds."""

    __slots__ = ("_asked", "_clock", "_created", "_idle_since", "heard", "max_age", "suspect")

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._created = self._idle_since = clock.stamp()
        #: Set by the pool: the age after which no new exchanges are wanted (None: no bound).
        self.max_age: float | None = None
        #: When anything arrived last, by the monotonic clock.
        self.heard = monotonic()
        self._asked: float | None = None
        #: Whether a request has waited in vain while nothing at all arrived.
        self.suspect = False

    def age(self) -> float:
        """Return how long ago the connection was made."""
        return self._clock.age(self._created)

    @property
    def aged(self) -> bool:
        """Whether the greatest age has been reached."""
        return self.max_age is not None and self.age() >= self.max_age

    def rest(self) -> None:
        """Note that the last exchange has ended."""
        self._idle_since = self._clock.stamp()

    def idle(self) -> float:
        """Return how long ago the last exchange ended."""
        return self._clock.age(self._idle_since)

    def sign(self) -> bool:
        """Note that something has arrived; tell whether that ends a suspicion."""
        self.heard = monotonic()
        self._asked = None
        suspected, self.suspect = self.suspect, False
        return suspected

    def ask(self) -> None:
        """Note that the peer is being asked for a sign."""
        self._asked = monotonic()

    def heard_since(self, moment: float) -> bool:
        """Tell whether anything has arrived since then, by the monotonic clock."""
        return self.heard >= moment

    def silent_for(self) -> float:
        """Return how long nothing has arrived."""
        return monotonic() - self.heard

    def asked_for(self) -> float | None:
        """Return for how long the peer owes a sign, None when it was not asked."""
        return None if self._asked is None else monotonic() - self._asked
