"""Dialing: from a route to a connection that speaks a known protocol, within one connect timeout."""

from __future__ import annotations

from functools import partial
from time import monotonic
from typing import TYPE_CHECKING

from greenh2._connection.connection import Connection
from greenh2._connection.loading import loading
from greenh2._errors import ConnectError, TransportError
from greenh2._models.config import checked_switch
from greenh2._models.proxy import Proxy
from greenh2._models.route import Route
from greenh2._models.settings import Http2Choice
from greenh2._models.trace import Trace
from greenh2._net import tcp
from greenh2._net.bell import Leash
from greenh2._net.channel import Channel
from greenh2._net.clock import Clock
from greenh2._net.dns import Resolver, resolve
from greenh2._net.sessions import Sessions
from greenh2._net.sockets import SocketSettings
from greenh2._net.trust import TlsSettings
from greenh2._protocol.events import Protocol
from greenh2._protocol.memory import Memory

if TYPE_CHECKING:
    import ssl

_PLAIN_SOCKETS = SocketSettings()


def offered(http1: bool, http2: Http2Choice) -> tuple[str, ...]:
    """Return what is offered by ALPN.  Raises TypeError and ValueError for settings that mean nothing."""
    checked_switch("http1", http1)
    if not http1 and not http2:
        raise ValueError("http1=False and http2=False leave no protocol to speak: allow one of them")
    if http2 not in (True, False, "prior-knowledge"):
        raise ValueError(f"http2={http2!r}: it is True, False or 'prior-knowledge'")
    return (("h2",) if http2 else ()) + (("http/1.1",) if http1 else ())


class Dialer:
    """How connections are made; called with a route, the seconds that are left, and who listens.  Switches greenlets.

    Raises ConnectTimeout, ConnectError, ProxyError, and what the leash is called off with.  A kill or a gevent.Timeout
    from outside passes through; then, as after any error, no descriptor stays open.
    """

    def __init__(
        self,
        tls: TlsSettings,
        *,
        http1: bool = True,
        http2: Http2Choice = True,
        resolver: Resolver = resolve,
        sockets: SocketSettings = _PLAIN_SOCKETS,
    ) -> None:
        self.tls = tls
        self.http1 = http1
        self.http2 = http2
        self.resolver = resolver
        self.sockets = sockets
        self.clock = Clock()
        self.sessions = Sessions()
        self.memory = Memory()

    def multiplexed(self, route: Route) -> bool | None:
        """Tell what is known of a route before any dial: many streams, one, or (None) as ALPN will say."""
        if route.http1_only:
            return False
        if self.http2 == "prior-knowledge" or not self.http1:
            return True
        if not self.http2 or not route.secure:
            return False
        return None

    def __call__(
        self, route: Route, seconds: float | None, trace: Trace | None, leash: Leash | None = None
    ) -> Connection:
        started = monotonic()
        peer = route.origin
        if trace is not None:
            trace("connection.dial", origin=peer)
        if route.proxy is None:
            sock = tcp.connect(
                route.host,
                route.port,
                peer,
                seconds,
                resolver=self.resolver,
                leash=leash,
                settings=self.sockets,
            )
            channel = Channel(sock, peer)
        else:
            channel = self._by_proxy(route, route.proxy, seconds, leash)
        session = None
        try:
            if route.secure and not route.forwarding:
                with loading(peer):
                    from greenh2._net import tls  # brings ssl along, which plain connections never need

                hostname = route.server_hostname or route.host
                settings = self.tls._replace(alpn=("http/1.1",)) if route.http1_only else self.tls
                context = settings.context()
                session = self.sessions.offer(route, context)
                tls.handshake(channel, context, hostname, peer, seconds, leash, session, since=started)
            protocol = self._protocol(route, channel)
            connection = Connection(channel, protocol, route, self.clock)
            connection.on_answered = partial(self._keep_session, session)
            if route.proxy is not None:
                connection.facts["proxy"] = route.proxy.origin
            connection.start()
            if connection.closed:
                # Nothing was asked yet: after GOAWAY the server may well take it on another connection.
                farewell = protocol.farewell
                why = farewell or connection.ended_by
                raise ConnectError(f"{peer} ended the connection at once: {why}", unprocessed=bool(farewell))
            if trace is not None:
                took = monotonic() - started
                trace("connection.connected", connection=connection.number, protocol=protocol.name, took=took)
        except BaseException as exc:
            # It may be the session that the server did not like; a kill says nothing of that.
            if isinstance(exc, TransportError):
                self.sessions.forget(route)
            channel.close()
            raise
        return connection

    def _keep_session(self, offered: ssl.SSLSession | None, connection: Connection) -> None:
        if connection.channel.tls is not None:
            self.sessions.keep(connection.route, connection.channel.tls, offered)

    def through(self, route: Route, proxy: Proxy) -> Route:
        """Return the route by way of a proxy: plain HTTP/1.1 is forwarded, all else goes through a tunnel."""
        only1 = self.http1 and (route.http1_only or self.http2 != "prior-knowledge")
        return route.through(proxy, forward=only1 and not route.secure and not proxy.is_socks)

    def tls_with(self, proxy: Proxy) -> TlsSettings:
        """Return the settings for TLS with a proxy: its own context, or what is trusted otherwise."""
        verify = self.tls.verify if proxy.ssl_context is None else proxy.ssl_context
        return self.tls._replace(verify=verify, cert=None, alpn=("http/1.1",))

    def _by_proxy(self, route: Route, proxy: Proxy, seconds: float | None, leash: Leash | None) -> Channel:
        with loading(route.origin):
            from greenh2._connection.tunnel import reach  # most clients have no proxy

        return reach(
            route, proxy, self.tls_with(proxy), self.sockets, seconds, resolver=self.resolver, leash=leash
        )

    def _protocol(self, route: Route, channel: Channel) -> Protocol:
        # Imported when spoken: h2 and h11 take as long to import as all the rest.
        agreed = channel.alpn
        known = self.http2 == "prior-knowledge" or not (self.http1 or route.secure)
        unasked = agreed is None and known and not route.http1_only
        if agreed == "h2" or unasked:
            with loading(route.origin):
                from greenh2._protocol.http2 import Http2Protocol

            return Http2Protocol(route.origin, self.memory)
        if not self.http1:
            raise ConnectError(
                f"{route.origin} does not speak HTTP/2 (ALPN: {agreed}); http1=False forbids HTTP/1.1"
            )
        with loading(route.origin):
            from greenh2._protocol.http1 import Http1Protocol

        return Http1Protocol(route.origin)
