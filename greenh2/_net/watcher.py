"""What is used of gevent's watchers, and how one of a socket goes on when there was an error."""

from __future__ import annotations

from collections.abc import Callable
from typing import Literal, Protocol


class Watcher(Protocol):
    """What is used of a gevent watcher."""

    def start(self, callback: Callable[[], None]) -> None: ...
    def stop(self) -> None: ...
    def close(self) -> None: ...


class SocketWatcher(Protocol):
    """What is used of one that watches a socket all the time."""

    @property
    def active(self) -> bool: ...
    def start(self, callback: Callable[[int], None], *, pass_events: Literal[True]) -> None: ...
    def stop(self) -> None: ...
    def close(self) -> None: ...


def keep_on(watcher: SocketWatcher, callback: Callable[[], object]) -> None:
    """Start a watcher, and again after each error until it is stopped.

    libuv watches no further when a socket has an error, for which it tells a negative number, once.  But there may be
    more to read than one callback takes, and only behind that it is told what the error was.
    """

    def look(events: int) -> None:
        callback()
        if events < 0 and watcher.active:
            watcher.stop()
            watcher.start(look, pass_events=True)

    watcher.start(look, pass_events=True)
