"""TLS sessions that are taken up again, so that another connection to a server costs less (RFC 8446 section 2.2).

What a session was made with holds on: the certificate is not shown again.  So a session goes only to the route, and by
the TLS context, that it was made for, not once that context asks for more or for less, and not for ever.  It stays in
its native thread: OpenSSL's objects may be used by one at a time, and the one it is read from belongs to a connection.

Reading a session out takes Python half as long as a handshake, so it is done when a second connection is made, and
once: what was taken up may be taken up again.  It is not done for a server that goes on to refuse what it is offered.
"""

from __future__ import annotations

import sys
from collections.abc import Hashable
from itertools import count
from time import monotonic
from typing import TYPE_CHECKING

from greenh2._net.threads import native_thread

if TYPE_CHECKING:
    import ssl

#: Routes, of each thread, of which one is kept; the oldest are forgotten.
MOST = 100
#: After so long a certificate has to be shown again (seconds; RFC 8446 section 4.6.1 allows seven days).
LONGEST = 3600.0
#: A server that has refused so many sessions, one after the other, is offered no more of them.
MOST_REFUSED = 3
#: Of CPython before 3.12.8 and 3.13.1 each session that is read out loses some kilobytes for ever (its issue 116810):
#: there a process reads out so many, which is less than a megabyte, and takes up no others.
MOST_READ = 100
LOSES = sys.version_info < (3, 12, 8) or (3, 13) <= sys.version_info < (3, 13, 1)
_read = count()


class _Kept:
    __slots__ = ("context", "refused", "session", "terms", "tls", "verified")

    def __init__(self, tls: ssl.SSLObject, refused: int) -> None:
        #: What the session is yet to be read from.
        self.tls: ssl.SSLObject | None = tls if refused < MOST_REFUSED else None
        #: How many sessions the server has refused since it last took one up.
        self.refused = refused
        self.context = tls.context
        self.terms = _terms(tls.context)
        self.session: ssl.SSLSession | None = None
        self.verified = monotonic()


class Sessions:
    """For each route a session in which its certificate was shown."""

    __slots__ = ("_kept",)

    def __init__(self) -> None:
        self._kept: dict[tuple[int, Hashable], _Kept] = {}

    def keep(self, route: Hashable, tls: ssl.SSLObject, offered: ssl.SSLSession | None) -> None:
        """Keep the session of a connection that has been answered: tickets come after the handshake."""
        key = native_thread(), route
        before = self._kept.get(key)
        if tls.session_reused:
            if before is not None:
                before.refused = 0
            return
        refused = 0
        if before is not None:  # connections that were made at once were offered, and refused, the same
            refused = before.refused + (offered is not None and offered is before.session)
        self._kept.pop(key, None)
        self._kept[key] = _Kept(tls, refused)
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
            tls, kept.tls = kept.tls, None
            kept.session = tls.session if not LOSES or next(_read) < MOST_READ else None
        return kept.session

    def forget(self, route: Hashable) -> None:
        """Offer nothing more of the past: a handshake has failed."""
        self._kept.pop((native_thread(), route), None)


def _terms(context: ssl.SSLContext) -> tuple[object, ...]:
    """Return what a context, which its owner may change, asks of a certificate."""
    return context.verify_mode, context.check_hostname, context.verify_flags
