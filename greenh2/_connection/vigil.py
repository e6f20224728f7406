"""A vigil: the loop stays awake for an answer that is due at once.

A loop with nothing to do sleeps, and being woken costs it as much as a request or two: the kernel's work, a virtual
machine's, and caches that have gone cold.  Where a server is so near that it answers sooner than that, to look again
and again (busy polling) takes no more CPU, and the answer is there earlier.  So this is done for answers of such a
server, for a moment, and only while nobody else in the loop has anything to do.  Nothing here switches greenlets.
"""

from __future__ import annotations

import os
from time import monotonic
from typing import TYPE_CHECKING

import gevent

if TYPE_CHECKING:
    from greenh2._net.watcher import Watcher

#: What sleeping adds to the time that an answer is seen to take, about (seconds).
_WAKING = 100e-6
#: The loop stays awake for one answer at most so many times as long as answers may take on average.
_TIMES = 2
#: So many near answers in a row it takes until the loop stays awake for the next one, at least and at most.
_LEAST_TOLL, _MOST_TOLL = 4, 1024
#: Lets another process have this core of the processor, the server's own maybe; not every system has it.
_give_way = getattr(os, "sched_yield", None)
#: The lowest of libev's, which calls an idle watcher only while none above it is on.
_PRIORITY = -2
#: How much the latest answer counts in the average.
_WEIGHT = 1 / 8


class Vigil:
    """Keeps the loop of one hub awake; ``worth`` is how long answers may take on average (seconds), 0 for never."""

    __slots__ = ("_hub", "_watcher", "expected", "worth")

    def __init__(self, worth: float) -> None:
        self.worth = worth
        #: The peers from which an answer is due, and until when it is waited for awake (`time.monotonic`).
        self.expected: dict[Nearness, float] = {}
        self._hub = gevent.get_hub()
        self._watcher: Watcher | None = None

    def nearness(self) -> Nearness | None:
        """Return what is to be told of the requests and answers of a connection, None where the loop may sleep."""
        return Nearness(self) if self.worth else None

    def keep(self, nearness: Nearness) -> None:
        """Stay awake until this peer has answered, or for as long as one answer is worth."""
        self.expected[nearness] = nearness.asked + _TIMES * self.worth
        if self._watcher is None:
            self._watcher = self._hub.loop.idle(ref=False, priority=_PRIORITY)
            self._watcher.start(self._look)

    def stop(self) -> None:
        """Let the loop sleep when it has nothing to do."""
        self.expected.clear()
        if self._watcher is not None and self._hub.loop is not None:
            self._watcher.stop()
            self._watcher.close()
        self._watcher = None  # last: one that is on must not be forgotten, whatever handlers of signals raise

    def _look(self) -> None:
        """The loop goes round once more, and would sleep if this were over and nobody had anything to do."""
        now = monotonic()
        for nearness, until in tuple(self.expected.items()):
            if now >= until:
                del self.expected[nearness]
        if not self.expected:
            self.stop()
        elif _give_way is not None:
            _give_way()


class Nearness:
    """Whether a peer answers so soon that the loop should stay awake until then; learnt from its answers."""

    __slots__ = ("_average", "_awake", "_near", "_toll", "_vigil", "asked")

    def __init__(self, vigil: Vigil) -> None:
        self._vigil = vigil
        #: When the first request left of those since the last answer (`time.monotonic`); 0.0 when there was none.
        self.asked = 0.0
        self._awake = False
        #: How many near answers have come in a row while the loop slept, and how many it takes.
        self._near, self._toll = 0, _LEAST_TOLL
        #: How long the loop has stayed awake for an answer, on average (seconds).
        self._average = 0.0

    def ask(self, now: float) -> None:
        """Note that a request has left."""
        if self.asked:
            return  # else the next ones would have it waited for without end
        self.asked = now
        if self._awake:
            self._vigil.keep(self)

    def answer(self, now: float) -> None:
        """Note that the peer has said something."""
        took = now - self.asked
        if not self.asked or took < 0:  # what came before it was asked
            return
        self.asked = 0.0
        worth = self._vigil.worth
        if not self._awake:
            self._near = self._near + 1 if took < worth + _WAKING else 0
            self._awake = self._near >= self._toll
            return
        self._vigil.expected.pop(self, None)
        self._average += (min(took, _TIMES * worth) - self._average) * _WEIGHT
        if self._average > worth:  # it was not worth it: that is tried again later and later
            self._awake, self._near, self._average = False, 0, 0.0
            self._toll = min(2 * self._toll, _MOST_TOLL)
        elif took < worth:
            self._toll = max(self._toll - 1, _LEAST_TOLL)
