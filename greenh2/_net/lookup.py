"""Lookups: one question to a resolver at a time for each name, whoever wants to know.

gevent resolves names in few threads (10), and one in which a name is waited for in vain is not free before the system
gives up, however early we do.  So connections to one host must not occupy them all.
"""

from __future__ import annotations

import copy
import os
from types import TracebackType

import gevent
from gevent import get_hub
from gevent.hub import Hub

from greenh2._errors import ConnectError
from greenh2._net.bell import Bell
from greenh2._net.dns import Address, Resolver

_Key = tuple[int, Hub, Resolver, str, int]
#: Those that have not ended, of every hub; a forked child has none of its parent's.
_under_way: dict[_Key, _Lookup] = {}


class _Lookup:
    """A greenlet that asks, what it was answered, and the bells of all who wait for that."""

    def __init__(self, key: _Key) -> None:
        self._key = key
        self.bells: dict[Bell, None] = {}
        self.found: list[Address] | None = None
        self.failed: Exception | None = None
        self.asking = gevent.spawn(self._ask)
        self.asking.link(self._end)  # which comes also after a kill, even before the greenlet has run

    def _ask(self) -> None:
        _, _, resolver, host, port = self._key
        try:
            self.found = resolver(host, port)
        except Exception as exc:
            self.failed = exc

    def _end(self, _greenlet: object) -> None:
        self.forget()
        for bell in self.bells:
            bell.ring()

    def forget(self) -> None:
        """Let the next who asks begin anew."""
        if _under_way.get(self._key) is self:
            del _under_way[self._key]


def _own(error: Exception) -> Exception:
    """Return a copy of an error, for each who waited has frames of its own; the error itself where it has no copies."""
    try:
        own = copy.copy(error)
    except Exception:  # a resolver's class may want to be made in any way, and what it says is what matters
        return error
    own.__cause__ = error.__cause__
    return own


class Lookup:
    """One's part in a lookup: a block in which the bell is rung when there is an answer.

    When all have left the block, the lookup is given up.
    """

    def __init__(self, resolver: Resolver, host: str, port: int, bell: Bell) -> None:
        key = (os.getpid(), get_hub(), resolver, host, port)
        lookup = _under_way.get(key)
        if lookup is None or lookup.asking.ready():
            lookup = _under_way[key] = _Lookup(key)
        self._lookup = lookup
        self._bell = bell

    def __enter__(self) -> Lookup:
        self._lookup.bells[self._bell] = None
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        lookup = self._lookup
        del lookup.bells[self._bell]
        if not lookup.bells and not lookup.asking.ready():
            lookup.forget()
            lookup.asking.kill(block=False)

    @property
    def over(self) -> bool:
        """Whether there is an answer, or never will be."""
        return self._lookup.asking.ready()

    def answer(self) -> list[Address]:
        """Return the addresses.  Raises what the resolver raised, ConnectError when it was killed."""
        lookup = self._lookup
        if lookup.failed is not None:
            raise _own(lookup.failed)
        if lookup.found is None:
            raise ConnectError("the greenlet that resolved the name was killed")
        return list(lookup.found)
