"""The timer behind every test's timeout: a native thread, whatever is patched.

pytest-timeout's own timer becomes a greenlet in a patched process. It would then not fire while a greenlet
spins, and, worse, it would keep the loop busy: ``gevent.wait()`` would not return and a deadlock would not be
a LoopExit.
"""

import sys
from collections.abc import Callable

import gevent.util
from gevent.monkey import get_original

_start_native_thread: Callable[[Callable[[], None], tuple[()]], int] = get_original(
    "_thread", "start_new_thread"
)
_native_lock = get_original("_thread", "allocate_lock")


class Watchdog:
    """Calls `bark` from a native thread unless called off within `seconds`."""

    def __init__(self, seconds: float, bark: Callable[[], None]) -> None:
        self._seconds = seconds
        self._bark = bark
        self._off = _native_lock()
        self._off.acquire()
        _start_native_thread(self._watch, ())

    def call_off(self) -> None:
        self._off.release()

    def _watch(self) -> None:  # pragma: no cover (native threads of this kind are not traced)
        if not self._off.acquire(True, self._seconds):
            gevent.util.print_run_info(file=sys.stderr)
            self._bark()
