"""The process that gevent takes itself to be in: it is told of forks that were not its own."""

from __future__ import annotations

import os
from weakref import WeakKeyDictionary

from gevent import reinit
from gevent.hub import Hub

_at_import = os.getpid()
_told: WeakKeyDictionary[Hub, int] = WeakKeyDictionary()


def tell_gevent(hub: Hub) -> None:
    """Prepare this thread's hub for a forked process, once.  Never switches greenlets.

    After a fork by multiprocessing or os.fork() without monkey patching nobody else does, and no name would be
    resolved: the threads which do that are the parent's.
    """
    pid = os.getpid()
    if _told.get(hub, _at_import) != pid:
        _told[hub] = pid
        reinit()
