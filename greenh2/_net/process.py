"""Processes: gevent is told of forks that were not its own, and a request of the parent's ends in the child."""

from __future__ import annotations

import os
from weakref import WeakKeyDictionary

from gevent import reinit, sleep
from gevent.hub import Hub

from greenh2._errors import ConnectError

#: So this module is loaded with greenh2 itself: were it loaded later, in a child, that would not know itself for one.
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


def pause(seconds: float) -> None:
    """Let a request wait before it is sent again.  Switches greenlets.

    Raises ConnectError in a child that was forked meanwhile: its copy of the request must not be sent as well.
    """
    pid = os.getpid()
    sleep(seconds)
    if os.getpid() != pid:
        raise ConnectError("the process was forked while the request paused: its parent sends it again")
