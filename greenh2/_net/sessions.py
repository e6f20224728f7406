"""TLS sessions that are taken up again, so that another connection to a server costs less (RFC 8446 section 2.2).

What a session was made with holds on: the certificate is not shown again.  So a session goes only to the route, and by
the TLS context, that it was made for, not once that context asks for more or for less, and not for ever.  It stays in
its native thread: OpenSSL's objects may be used by one at a time, and the one it is read from belongs to a connection.

Reading a session out takes Python half as long as a handshake, so it is done when a second connection is made, and
once: what was taken up may be taken up again.
"""

from __future__ import annotations

from collections.abc import Hashable
from time import monotonic
from typing import TYPE_CHECKING

from greenh2._net.threads import native_thread

if TYPE_CHECKING:
    import ssl

#: Routes, of each thread, of which one is kept; the oldest are forgotten.
MOST = 100
#: After so long a certificate has to be shown again (seconds; RFC 8446 section 4.6.1 allows seven days).
LONGEST = 3600.0


class _Kept:
    __slots__ = ("context", "session", "terms", "tls", "verified")

    def __init__(self, tls: ssl.SSLObject) -> None:
        self.tls: ssl.SSLObject | None = tls
        self.context = tls.context
        self.terms = _terms(tls.context)
        self.session: ssl.SSLSession | None = None
        self.verified = monotonic()


class Sessions:
    """For each route a session in which its certificate was shown."""

    __slots__ = ("_kept",)

    def __init__(self) -> None:
        self._kept: dict[tuple[int, Hashable], _Kept] = {}

    def keep(self, route: Hashable, tls: ssl.SSLObject) -> None:
        """Keep the session of a connection that has been answered: tickets come after the handshake."""
        if tls.session_reused:
            return
        key = native_thread(), route
        self._kept.pop(key, None)
        self._kept[key] = _Kept(tls)
        if len(self._kept) > MOST:
            oldest = next(iter(tuple(self._kept)))
            self._kept.pop(oldest, None)  # which another thread may be about to do as well

    def offer(self, route: Hashable, context: ssl.SSLContext) -> ssl.SSLSession | None:
        """Return a session that a new connection may take up; a server that does not want it asks for all anew."""
        kept = self._kept.get((native_thread(), route))
        if kept is None or kept.context is not context or monotonic() - kept.verified > LONGEST:
            return None
        if kept.terms != _terms(context):
            return None
        if kept.tls is not None:
            kept.session, kept.tls = kept.tls.session, None
        return kept.session

    def forget(self, route: Hashable) -> None:
        """Offer nothing more of the past: a handshake has failed."""
        self._kept.pop((native_thread(), route), None)


def _terms(context: ssl.SSLContext) -> tuple[object, ...]:
    """Return what a context, which its owner may change, asks of a certificate."""
    return context.verify_mode, context.check_hostname, context.verify_flags
