"""Whether a native thread is still there, told without asking the interpreter for all of them.

`sys._current_frames()` would tell too; but it holds a lock of the interpreter while it makes objects, so that the
collector may run in it, and a finalizer that asks as well would wait for itself.
"""

from __future__ import annotations

import weakref
from collections.abc import Callable

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
