"""From a route through a proxy to a channel: to the proxy, and through it by CONNECT or SOCKS where it tunnels.

All of it takes its time from the connect timeout.  Imported with the first proxy.
"""

from __future__ import annotations

import socket
from time import monotonic

from greenh2._connection.loading import loading
from greenh2._errors import ConnectTimeout, ProxyError, ReadError
from greenh2._models.proxy import Proxy
from greenh2._models.route import Route
from greenh2._net import tcp
from greenh2._net.bell import Leash
from greenh2._net.channel import Channel
from greenh2._net.dns import Resolver
from greenh2._net.layer import stack
from greenh2._net.sockets import SocketSettings
from greenh2._net.trust import TlsSettings
from greenh2._protocol.connect import Connect, TunnelTalk

#: How long a refusal's body is waited for, so that the error can tell some of it (seconds).
_BODY_WITHIN = 0.5


def reach(
    route: Route,
    proxy: Proxy,
    settings: TlsSettings,
    sockets: SocketSettings,
    seconds: float | None,
    *,
    resolver: Resolver,
    leash: Leash | None = None,
) -> Channel:
    """Return a channel whose bytes go to the route's host, or to the proxy where that forwards.  Switches greenlets.

    ``settings`` are for TLS with the proxy, ``sockets`` for the connection to it.  Raises ConnectTimeout; ConnectError
    when there is no way to the proxy; ProxyError when it opens no tunnel; and what the leash is called off with.  After
    any of them, a kill or a gevent.Timeout no descriptor stays open.
    """
    guide = _Guide(route, proxy, settings, sockets, seconds, resolver, leash or Leash())
    if proxy.is_socks:
        return guide.by_socks()
    if route.forwarding:
        return guide.to_proxy()
    return guide.by_connect()


class _Guide:
    """One dial through a proxy, and what is left of its time."""

    def __init__(
        self,
        route: Route,
        proxy: Proxy,
        settings: TlsSettings,
        sockets: SocketSettings,
        seconds: float | None,
        resolver: Resolver,
        leash: Leash,
    ) -> None:
        self._route = route
        self._proxy = proxy
        self._settings = settings
        self._sockets = sockets
        self._seconds = seconds
        self._since = monotonic()
        self._resolver = resolver
        self._leash = leash
        self._addresses: list[str] | None = None

    def _left(self) -> float | None:
        return None if self._seconds is None else self._since + self._seconds - monotonic()

    def to_proxy(self) -> Channel:
        """Return a channel to the proxy, over TLS where it is an https one."""
        return self._enter(None)

    def by_connect(self) -> Channel:
        """Return a tunnel that CONNECT has opened."""
        return self._enter(Connect(self._proxy, self._route.authority))

    def by_socks(self) -> Channel:
        """Return a tunnel through a SOCKS proxy: to the name, or to the first of its addresses that is reached."""
        from greenh2._protocol.socks import Socks  # wants a package that is optional

        route = self._route
        host = route.host if self._proxy.scheme == "socks5h" else None
        while True:
            talk = Socks(self._proxy, host, route.port)
            try:
                return self._enter(talk)
            except ProxyError:
                if not (talk.elsewhere and self._addresses):
                    raise

    def _next_address(self) -> str:
        """Return the next of the host's addresses; it is looked up when the proxy has let us in, and not before."""
        if self._addresses is None:
            route = self._route
            found = tcp.addresses(
                route.host,
                route.port,
                route.origin,
                self._seconds,
                self._resolver,
                self._leash,
                since=self._since,
            )
            self._addresses = [str(host) for _, (host, *_) in found]
            if not self._addresses:
                raise ProxyError(f"could not connect to {route}: its name has no address")
        return self._addresses.pop(0)

    def _enter(self, talk: TunnelTalk | None) -> Channel:
        """Connect to the proxy, and have it open a tunnel where there is anything to say to it."""
        proxy = self._proxy
        peer = f"the proxy {proxy.origin}"
        sock = tcp.connect(
            proxy.host,
            proxy.port,
            peer,
            self._seconds,
            resolver=self._resolver,
            leash=self._leash,
            settings=self._sockets,
            since=self._since,
        )
        channel = Channel(sock, peer if talk is None else str(self._route))
        try:
            if proxy.scheme == "https":
                with loading(peer):
                    from greenh2._net import tls  # as when dialing

                name = proxy.host.removesuffix(".")
                context = self._settings.context()
                tls.handshake(channel, context, name, peer, self._seconds, self._leash, since=self._since)
            if talk is None:
                return channel
            return self._tunnel(channel, sock, talk)
        except BaseException:
            channel.close()
            raise

    def _tunnel(self, channel: Channel, sock: socket.socket, talk: TunnelTalk) -> Channel:
        try:
            self._say(channel, talk)
            while not self._step(channel, talk):
                if talk.wants_host and talk.ask_for(self._next_address()):
                    break
                self._say(channel, talk)
            self._say(channel, talk)  # to one who has answered more than it was asked yet
        except ReadError as exc:
            raise talk.refusal or ProxyError(
                f"the proxy {self._proxy.origin} was lost before it opened a tunnel to {self._route.origin}: {exc}"
            ) from exc
        if talk.rest or channel.tls is not None:
            return stack(channel, sock, str(self._route), talk.rest)
        return channel

    def _say(self, channel: Channel, talk: TunnelTalk) -> None:
        if words := talk.outgoing():
            channel.write(words)
            channel.flush()

    def _step(self, channel: Channel, talk: TunnelTalk) -> bool:
        """Take what has come, or wait for it; tell whether the tunnel stands."""
        data = channel.read()
        if data is not None:
            return talk.receive(data)
        left = self._left()
        if talk.refusal is not None:
            left = _BODY_WITHIN if left is None else min(left, _BODY_WITHIN)
        if not channel.wait_readable(left, self._leash):
            raise talk.refusal or ConnectTimeout(
                f"the proxy {self._proxy.origin} opened no tunnel to {self._route.origin} within {self._seconds:.3g} s"
            )
        return False
