"""TLS sessions that are taken up again, so that another connection to a server costs less (RFC 8446 section 2.2).

What a session was made with holds on: the certificate is not shown again.  So a session goes only to the route, and by
the TLS context, that it was made for, and not for ever.

Reading a session out takes Python half as long as a handshake, so it is done when a second connection is made, and
once: what was taken up may be taken up again.
"""

from __future__ import annotations

import ssl
from collections.abc import Hashable
from time import monotonic

#: Routes of which one is kept; the oldest are forgotten.
MOST = 100
#: After so long a certificate has to be shown again (seconds; RFC 8446 section 4.6.1 allows seven days).
LONGEST = 3600.0


class _Kept:
    __slots__ = ("context", "session", "tls", "verified")

    def __init__(self, tls: ssl.SSLObject) -> None:
        self.tls: ssl.SSLObject | None = tls
        self.context = tls.context
        self.session: ssl.SSLSession | None = None
        self.verified = monotonic()


class Sessions:
    """For each route a session in which its certificate was shown."""

    __slots__ = ("_kept",)

    def __init__(self) -> None:
        self._kept: dict[Hashable, _Kept] = {}

    def keep(self, route: Hashable, tls: ssl.SSLObject) -> None:
        """Keep the session of a connection that has been answered: tickets come after the handshake."""
        if tls.session_reused:
            return
        self._kept.pop(route, None)
        self._kept[route] = _Kept(tls)
        if len(self._kept) > MOST:
            del self._kept[next(iter(self._kept))]

    def offer(self, route: Hashable, context: ssl.SSLContext) -> ssl.SSLSession | None:
        """Return a session that a new connection may take up; a server that does not want it asks for all anew."""
        kept = self._kept.get(route)
        if kept is None or kept.context is not context or monotonic() - kept.verified > LONGEST:
            return None
        if kept.tls is not None:
            kept.session, kept.tls = kept.tls.session, None
        return kept.session

    def forget(self, route: Hashable) -> None:
        """Offer nothing more of the past: a handshake has failed."""
        self._kept.pop(route, None)
