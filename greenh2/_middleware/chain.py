"""The chain is what a request goes through on its way to the transport, and its response on the way back."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

from greenh2._middleware.auth import Authenticate
from greenh2._middleware.cookies import RememberCookies
from greenh2._middleware.handler import Handler
from greenh2._middleware.hooks import CallHooks, EventHooks
from greenh2._middleware.redirect import FollowRedirects
from greenh2._middleware.retry import Retry
from greenh2._models.cookies import Cookies


def chain(
    transport: Handler,
    *,
    max_redirects: int,
    sleep: Callable[[float], object],
    jar: Callable[[], Cookies],
    hooks: Callable[[], EventHooks],
) -> Handler:
    """Put the middlewares around a transport, the first of the list outermost.

    A redirect leads to a request of its own, with retries and credentials of its own.  A retry begins the
    authentication anew.  Cookies are added to each step of it.  Hooks see what is really sent.
    """
    links: list[Callable[[Handler], Handler]] = [
        partial(FollowRedirects, max_redirects=max_redirects),
        partial(Retry, sleep=sleep),
        Authenticate,
        partial(RememberCookies, jar=jar),
        partial(CallHooks, hooks=hooks),
    ]
    handler = transport
    for link in reversed(links):
        handler = link(handler)
    return handler
