"""Other native threads: how to call something in their loops, and whether they are still there.

The interpreter is not asked for all of them: `sys._current_frames()` would tell too, but it holds a lock of the
interpreter while it makes objects, so that the collector may run in it, and a finalizer that asks as well would wait
for itself.
"""

from __future__ import annotations

import weakref
from collections.abc import Callable
from contextlib import suppress

from gevent.hub import Hub
from gevent.monkey import get_original


class _Thread:
    """Belongs to one native thread, and goes with it."""

    __slots__ = ("__weakref__",)


#: The number of the native thread, whichever greenlet asks.
native_thread: Callable[[], int] = get_original("_thread", "get_ident")
# Of the native thread also where gevent has put its own, which belongs to the greenlet.
_local = get_original("_thread", "_local")()


def this_thread() -> Callable[[], object | None]:
    """Return a function that returns None as soon as the native thread that called this has ended."""
    thread = getattr(_local, "thread", None)
    if thread is None:
        thread = _local.thread = _Thread()
    return weakref.ref(thread)


def call_in(hub: Hub, function: Callable[..., object], *arguments: object) -> None:
    """Call a function in the loop of a hub, whose thread may be another one; not at all where that loop is gone.

    Never switches.  The other thread may be destroying its loop at this moment, which no lock of ours could prevent.
    """
    loop = hub.loop
    if loop is not None:
        with suppress(AttributeError, TypeError, ValueError):  # libuv's, while it goes and after, and libev's
            loop.run_callback_threadsafe(function, *arguments)
