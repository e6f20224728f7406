"""Counts what must not outlive a test: greenlets and file descriptors."""

import gc
import os
import time
from collections import Counter
from pathlib import Path
from typing import Any
from weakref import WeakSet

import gevent
from gevent import Greenlet

PATIENCE = 5.0
"""Seconds that greenlets and descriptors are given to end by themselves."""

_DESCRIPTORS = Path("/proc/self/fd")


_started: "WeakSet[Greenlet[..., Any]]" = WeakSet()
Greenlet.add_spawn_callback(_started.add)


def living_greenlets() -> "list[Greenlet[..., Any]]":
    """Every greenlet that was started since this module was imported and is not finished, of all hubs."""
    return [one for one in _started if not one.dead]


def open_descriptors() -> dict[int, str]:
    """Every open descriptor with what it is; nothing on a system without /proc."""
    found: dict[int, str] = {}
    if not _DESCRIPTORS.is_dir():  # pragma: no cover (there is one on Linux)
        return found
    for name in os.listdir(_DESCRIPTORS):
        try:
            found[int(name)] = os.readlink(_DESCRIPTORS / name)
        except FileNotFoundError:
            continue  # the one that listed them
    return found


class Census:
    """Who was there before; `leaks()` tells who is new and has not gone.

    Descriptors are told apart by what they are, not by their numbers: libev closes its epoll descriptor and opens
    another when it hears of a socket that it has closed itself and a forked child still holds.
    """

    def __init__(self) -> None:
        self._greenlets: WeakSet[Greenlet[..., Any]] = WeakSet(living_greenlets())
        self._descriptors = Counter(open_descriptors().values())

    def leaks(self) -> list[str]:
        """Wait a while for newcomers to go, then describe those that stay."""
        gevent.sleep(0)
        deadline = time.monotonic() + PATIENCE
        while (left := self._newcomers()) and time.monotonic() < deadline:
            gc.collect()
            gevent.sleep(0.01)
        return left

    def _newcomers(self) -> list[str]:
        greenlets = [f"greenlet {one!r}" for one in living_greenlets() if one not in self._greenlets]
        now = open_descriptors()
        more = Counter(now.values()) - self._descriptors
        descriptors = [f"descriptor {number}: {what}" for number, what in now.items() if what in more]
        return greenlets + descriptors
