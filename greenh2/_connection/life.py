"""The life of a connection: how old it is, how long it rests, and the signs of life that its peer gives."""

from __future__ import annotations

from time import monotonic

from greenh2._net.clock import Clock

#: What our PINGs carry (RFC 9113 section 6.7: 8 bytes of any value).
PAYLOAD = b"greenh2?"
#: Connections reach their greatest age up to this part of it early, so that those made together do not end together.
AGE_JITTER = 0.1


class Life:
    """Knows no network: whoever reads tells it, whoever wants to know asks it.  Times are in seconds."""

    __slots__ = ("_asked", "_clock", "_created", "_idle_since", "_max_age", "heard", "suspect")

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._created = self._idle_since = clock.stamp()
        self._max_age: float | None = None
        #: When anything arrived last, by the monotonic clock.
        self.heard = monotonic()
        self._asked: float | None = None
        #: Whether a request has waited in vain while nothing at all arrived.
        self.suspect = False

    def bound(self, age: float | None) -> None:
        """Want no new exchanges from that age on, or from somewhat less; None is no bound."""
        if age is not None:
            from random import uniform  # few clients bound it

            self._max_age = age * uniform(1 - AGE_JITTER, 1)  # noqa: S311  # guards no secret

    def age(self) -> float:
        """Return how long ago the connection was made."""
        return self._clock.age(self._created)

    @property
    def aged(self) -> bool:
        """Whether the greatest age has been reached."""
        return self._max_age is not None and self.age() >= self._max_age

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
