"""Every Session from now on: opt-in, and reversible.  No socket is patched, and nothing of urllib3."""

from __future__ import annotations

import functools
import threading
from collections.abc import Callable
from types import TracebackType
from typing import TYPE_CHECKING, Any

from requests.sessions import Session
from urllib3.util import Retry

from greenh2._models.config import Limits
from greenh2._models.settings import Http2Choice
from greenh2._models.transport import BaseTransport
from greenh2.adapters._lines import transport_of
from greenh2.adapters.requests.adapter import GreenAdapter
from greenh2.adapters.requests.pools import OwnPools, Pools, SharedPool
from greenh2.adapters.requests.sending import retry_of

if TYPE_CHECKING:
    from greenh2._client import Client

_PREFIXES = ("https://", "http://")
# Held for a few assignments, and never while anything waits.
_lock = threading.Lock()
_installed: Installation | None = None
_undo_wrapping: Callable[[], None] | None = None


class Installation:
    """What `install()` has done.  As a context manager it is undone at the end of the block."""

    def __init__(self, pools: Pools, max_retries: Retry) -> None:
        self.pools = pools
        self.max_retries = max_retries

    def mount(self, session: Session) -> None:
        """Give a new session its adapter: one of its own, over the pools that all share."""
        adapter = GreenAdapter.over(self.pools, self.max_retries)
        for prefix in _PREFIXES:
            session.mount(prefix, adapter)

    def uninstall(self) -> None:
        """Undo it, unless that was done, or this is not what is installed.  Never waits."""
        _undo(self)

    def __enter__(self) -> Installation:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.uninstall()


def install(
    *,
    max_retries: int | Retry = 0,
    limits: Limits = Limits(),  # noqa: B008  # frozen
    http1: bool = True,
    http2: Http2Choice = True,
    pool: Client | BaseTransport | None = None,
) -> Installation:
    """Mount a GreenAdapter on every requests.Session that is made from now on, those of `requests.get()` included.

    All of them share their connections, so that `requests.get()` finds one open; what a session mounts for itself
    stays.  Sessions that exist are left alone.  The arguments are those of GreenAdapter.

    While it is installed, a second call changes nothing, and what it returns undoes nothing.
    """
    global _installed
    retries = retry_of(max_retries)  # told here, and not by each Session that is made
    pools: Pools
    if pool is None:
        pools = OwnPools(limits=limits, http1=http1, http2=http2)
    else:
        pools = SharedPool(transport_of(pool))
    wanted = Installation(pools, retries)
    with _lock:
        if _installed is None:
            _installed = wanted
            _wrap()
    return wanted


def uninstall() -> None:
    """Give sessions that are made from now on requests' own adapters again; does nothing if nothing is installed.

    Sessions that were made meanwhile go on as they are; connections that are idle are closed.  Never waits.
    """
    _undo(None)


def _undo(which: Installation | None) -> None:
    global _installed
    with _lock:
        installed = _installed
        if installed is None or which not in (None, installed):
            return
        _installed = None
        if _undo_wrapping is not None:
            _undo_wrapping()
    if isinstance(installed.pools, OwnPools):
        installed.pools.retire()


def _wrap() -> None:
    global _undo_wrapping
    original = Session.__init__

    @functools.wraps(original)
    def initialise(self: Session, *args: Any, **kwargs: Any) -> None:
        original(self, *args, **kwargs)
        installed = _installed
        if installed is not None:
            installed.mount(self)

    def undo() -> None:
        # Somebody may have wrapped it in turn, and goes on calling it: it does nothing then.
        if Session.__init__ is initialise:
            Session.__init__ = original  # type: ignore[method-assign]

    Session.__init__ = initialise  # type: ignore[method-assign]
    _undo_wrapping = undo
