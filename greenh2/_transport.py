"""A transport carries one request to its server and brings the response: the floor of every client."""

from __future__ import annotations

import os
import sys
import warnings
from collections.abc import Callable, Iterable
from time import monotonic
from typing import TYPE_CHECKING, Any, NoReturn

from gevent import get_hub
from gevent.hub import Hub

from greenh2._connection.body import ExchangeBody
from greenh2._connection.dial import Dialer, offered
from greenh2._connection.exchange import Exchange
from greenh2._errors import (
    CloseError,
    ConnectError,
    ConnectTimeout,
    InsecureRequestWarning,
    LocalProtocolError,
    TransportError,
)
from greenh2._models.config import Limits, checked_limits, checked_switch
from greenh2._models.headers import Headers
from greenh2._models.proxy import Proxy, ProxyTypes, proxy_of
from greenh2._models.request import Request, declared_length
from greenh2._models.response import Response
from greenh2._models.route import Route
from greenh2._models.settings import CertTypes, Http2Choice, Later, SocketOption
from greenh2._models.timeouts import Deadline, Timeout
from greenh2._models.trace import Trace
from greenh2._models.transport import BaseTransport
from greenh2._models.url import URL
from greenh2._net.process import pause, tell_gevent
from greenh2._net.sockets import SocketSettings
from greenh2._net.threads import call_in, this_thread
from greenh2._net.trust import TlsSettings, authorities, cert_files, check_files
from greenh2._pool.acquire import acquire
from greenh2._pool.pool import Pool
from greenh2._pool.waiter import Holder
from greenh2._protocol.events import RequestHead, ResponseHead

if TYPE_CHECKING:
    import ssl
else:
    ssl = Later("ssl")

#: Tells each URL the proxy for it, or None.
ProxyChoice = Callable[[URL], ProxyTypes | None]
#: What bounds a request that reaches a transport without a Client (seconds for each phase).
DEFAULT_TIMEOUT = Timeout(5.0)
#: After so many origins that are not verified, who uses the transport has been told often enough.
_MOST_WARNED = 1000


class HTTPTransport(BaseTransport):
    """The real transport: a pool of HTTP/2 and HTTP/1.1 connections for each hub that uses it.

    Making one does nothing but look at its arguments: no hub, no TLS context, no greenlet, so that it may be made
    before a fork and before monkey patching.  It may be used by every greenlet of every native thread; each thread
    has connections and limits of its own.  A forked child starts with empty pools.

    ``verify``: True (certifi, or SSL_CERT_FILE and SSL_CERT_DIR with ``trust_env``), "system" (the system's
    authorities, or those variables), False, a path to a CA file or directory, or an ssl.SSLContext, whose ALPN list
    is set.  ``cert``: a client certificate.  ``http2``: offer it over TLS (True), never (False), or "prior-knowledge":
    speak it at once, also without TLS.  ``proxy``: a URL or a Proxy to send everything through, or a function that
    tells a request's URL its Proxy, or None; the environment is not asked here.  ``uds``: the path of a Unix socket
    which every connection leads to, whatever the URL says; that still decides Host and TLS.  ``local_address``: the IP
    address to connect from; only addresses of its family are tried.  ``socket_options``: tuples for `setsockopt()`,
    set before connecting.  ``retries``: how often to try again when no connection could be made, at once and then after
    0.5 s, 1 s, 2 s and so on; what happens on a connection is not repeated by this.

    Raises FileNotFoundError for a missing file, ValueError when neither protocol is allowed.  The first request to
    each https origin whose certificate is not verified is met by an InsecureRequestWarning.
    """

    def __init__(
        self,
        *,
        verify: bool | str | os.PathLike[str] | ssl.SSLContext = True,
        cert: CertTypes | None = None,
        trust_env: bool = True,
        http1: bool = True,
        http2: Http2Choice = True,
        limits: Limits = Limits(),  # noqa: B008 - a frozen value
        proxy: ProxyTypes | ProxyChoice | None = None,
        uds: str | os.PathLike[str] | None = None,
        local_address: str | None = None,
        socket_options: Iterable[SocketOption] | None = None,
        retries: int = 0,
    ) -> None:
        settings = TlsSettings(
            verify=authorities(verify),
            cert=cert_files(cert),
            trust_env=checked_switch("trust_env", trust_env),
            alpn=offered(http1, http2),
        )
        check_files(settings)
        if uds is not None and proxy is not None:
            raise ValueError("uds= and proxy= both say where every connection leads: give one of them")
        sockets = SocketSettings.of(uds, local_address, socket_options)
        self._dialer = Dialer(settings.stamped(), http1=http1, http2=http2, sockets=sockets)
        self._proxy_of = None if proxy is None else proxy_choice(proxy)
        self._limits = checked_limits(limits)
        self._retries = _checked_retries(retries)
        self._pools: dict[Hub, Pool] = {}
        self._threads: dict[Hub, Callable[[], object | None]] = {}
        self._pid = os.getpid()
        self._closed = False
        self._warned: set[str] = set()

    def handle_request(self, request: Request) -> Response:
        """Send one request and return its response as soon as its head is there.  Switches greenlets.

        Reads from ``request.extensions``: "deadline" (or "timeout", a Timeout), "trace", "sni_hostname", "target",
        "http1_only".  Raises the errors of the tree under TransportError, each with its ``request``.  A kill or a
        gevent.Timeout from outside passes through at any point and leaves nothing behind.
        """
        extensions = request.extensions
        try:
            route = Route.of(request.url, extensions)
            deadline = extensions.get("deadline") or Deadline(_timeout(extensions))
            if route.secure and self._dialer.tls.trusts_anybody:
                self._warn_of(route.origin)
            if self._proxy_of is not None:
                route = self._through_proxy(route, self._proxy_of(request.url))
            holder = Holder(request)
            trace = Trace.of(holder, extensions.get("trace"))
            return self._exchange(request, route, deadline, holder, trace)
        except TransportError as exc:
            exc.request = request
            raise

    def _through_proxy(self, route: Route, chosen: ProxyTypes | None) -> Route:
        if chosen is None:
            return route
        proxy = proxy_of(chosen)
        if proxy.scheme == "https" and self._dialer.tls_with(proxy).trusts_anybody:
            self._warn_of(proxy.origin)
        return self._dialer.through(route, proxy)

    def _warn_of(self, origin: str) -> None:
        """Warn once of an origin that is not verified; not of ever more, which would be kept for ever."""
        if origin not in self._warned and len(self._warned) < _MOST_WARNED:
            self._warned.add(origin)
            _warn(origin)

    def _exchange(
        self, request: Request, route: Route, deadline: Deadline, holder: Holder, trace: Trace | None
    ) -> Response:
        started = holder.since
        wire = _wire_head(request, declared := declared_length(request))
        if route.forwarding:
            wire = _forwarded(wire, route.proxy)
        exchange = self._acquire(self._pool(), route, deadline, holder, trace)
        try:
            acquired = monotonic()
            if trace is not None:
                trace("pool.acquired", connection=exchange.connection.number, reused=exchange.reused)
                trace("request.head", connection=exchange.connection.number, method=request.method)
            head = exchange.send(wire, request.body, declared, deadline)
            if trace is not None:
                trace("response.head", stream=exchange.stream_id, status=head.status)
            timings = {"acquired": acquired - started, "answered": monotonic() - started}
            return _response(request, exchange, head, deadline, timings, trace)
        except BaseException:
            exchange.close()
            raise

    def _acquire(
        self, pool: Pool, route: Route, deadline: Deadline, holder: Holder, trace: Trace | None
    ) -> Exchange:
        for attempt in range(self._retries):
            try:
                return acquire(pool, route, deadline, holder, trace)
            except (ConnectError, ConnectTimeout):
                seconds = 2.0 ** (attempt - 2) if attempt else 0.0  # at once, then after 0.5 s, 1 s, 2 s ...
                left = deadline.remaining()
                if left is not None and left <= seconds:
                    raise
                pause(seconds)
        return acquire(pool, route, deadline, holder, trace)

    # -- one pool for each hub ---------------------------------------------------------------------------------

    def _pool(self) -> Pool:
        if os.getpid() != self._pid:
            self._after_fork()
        if self._closed:
            raise CloseError("the client has been closed: make a new one to send more requests")
        hub = get_hub()
        pool = self._pools.get(hub)
        if pool is None:
            tell_gevent(hub)
            self._bury_the_dead()
            self._threads[hub] = this_thread()
            pool = self._pools[hub] = Pool(self._limits, self._dialer)
            if self._closed:  # by another thread, which did not see this pool
                pool.close()
        return pool

    def _bury_the_dead(self) -> None:
        """Free the pools of native threads that have ended, or whose hub was destroyed."""
        for hub, thread in list(self._threads.items()):
            if (thread() is None or hub.dead or hub.loop is None) and self._threads.pop(
                hub, None
            ) is not None:
                self._pools.pop(hub).abandon()

    def _after_fork(self) -> None:
        """In a forked child: drop the parent's pools, closing nothing but the copies of their descriptors."""
        pools = list(self._pools.values())
        self._pid = os.getpid()
        self._pools, self._threads = {}, {}
        for pool in pools:
            pool.abandon()

    def _on_each_hub(self, act: Callable[[Pool], None], *, at_once: bool) -> None:
        """Do something with every pool, each in its own thread's hub; never waits for another thread."""
        self._bury_the_dead()
        for hub, pool in list(self._pools.items()):
            if at_once and hub is get_hub():
                act(pool)
            else:
                call_in(hub, act, pool)

    def close(self) -> None:
        """Close every connection and wake every request that waits with CloseError.  Never switches.

        May be called twice, and from anywhere: another thread's connections are closed by its own hub.
        """
        if os.getpid() != self._pid:
            self._after_fork()
        self._closed = True
        self._on_each_hub(Pool.close, at_once=True)

    def retire(self, *, at_once: bool = False) -> None:
        """Close what is idle now and what becomes idle later.  Never switches; a finalizer must not do so at once."""
        if os.getpid() == self._pid:
            self._on_each_hub(Pool.retire, at_once=at_once)
        elif at_once:
            self._after_fork()

    def __reduce__(self) -> NoReturn:
        raise TypeError("An HTTPTransport cannot be pickled or copied: it holds connections.")

    def __repr__(self) -> str:
        connections = [connection for pool in list(self._pools.values()) for connection in pool.connections]
        streams = sum(connection.streams for connection in connections)
        waiting = sum(len(lane.waiters) for pool in list(self._pools.values()) for lane in pool.lanes)
        return f"<HTTPTransport {len(connections)} connections, {streams} streams, {waiting} waiting>"

    def dump(self) -> str:
        """Return the state of every pool as text: connections, who holds them, who waits.  Never switches."""
        if os.getpid() != self._pid:
            self._after_fork()
        pools = list(self._pools.values())
        return "\n".join(pool.dump() for pool in pools) if pools else "No connections: nothing was sent yet."


def _checked_retries(retries: object) -> int:
    if not isinstance(retries, int) or isinstance(retries, bool) or retries < 0:
        raise ValueError(f"retries is 0 or more, and not {retries!r}")
    return retries


def _warn(origin: str) -> None:
    """Warn at the line of the caller's that led here."""
    depth = 1
    frame = sys._getframe()
    while frame.f_back is not None and frame.f_globals.get("__name__", "").partition(".")[0] == "greenh2":
        frame = frame.f_back
        depth += 1
    warnings.warn(
        f"The certificate of {origin} is not verified (verify=False, or a context that does not): anybody may answer "
        "in its place. Give verify= the file of its authority instead.",
        InsecureRequestWarning,
        stacklevel=depth,
    )


def _wire_head(request: Request, declared: int | None) -> RequestHead:
    url = request.url
    if request.method == "CONNECT":  # what follows its answer is no HTTP (RFC 9110 section 9.3.6)
        raise LocalProtocolError("CONNECT opens a tunnel, which no response can hold: use a proxy for that")
    target = _target(request.extensions["target"]) if "target" in request.extensions else url.raw_path
    return RequestHead(
        method=request.method.encode("ascii"),
        scheme=url.raw_scheme,
        authority=url.authority,
        target=target,
        fields=request.headers.raw,
        expects_body=declared != 0,
    )


def _forwarded(head: RequestHead, proxy: Proxy | None) -> RequestHead:
    """Return the head for a proxy that passes the request on (RFC 9112 section 3.2.2, absolute-form)."""
    assert proxy is not None
    target = head.target
    if target == b"*":  # RFC 9112 section 3.2.4
        target = b"http://" + head.authority
    elif target.startswith(b"/"):
        target = b"http://" + head.authority + target
    given = {name.lower() for name, _ in head.fields}
    own = [field for field in proxy.fields if field[0].lower() not in given]
    return RequestHead(
        head.method, head.scheme, head.authority, target, [*head.fields, *own], head.expects_body
    )


def proxy_choice(proxy: ProxyTypes | ProxyChoice) -> ProxyChoice:
    """Return the function that a `proxy=` argument stands for.

    Raises TypeError, ValueError or InvalidURL for one that can be none, ImportError where it needs a package.
    """
    if callable(proxy):
        return proxy
    one = proxy_of(proxy)
    if one.is_socks:
        import greenh2._protocol.socks  # noqa: F401  # where socksio is missing, say so now
    return lambda url: one


def _target(target: object) -> bytes:
    """Check the extension "target", which takes the place of the URL's path and query (RFC 9112 section 3.2)."""
    if isinstance(target, str):
        target = target.encode("utf-8")
    if not isinstance(target, bytes):
        raise TypeError(f"the extension 'target' is bytes or str, not {type(target).__name__}")
    if not target or any(byte <= 0x20 or byte >= 0x7F for byte in target):
        raise LocalProtocolError(
            f"{target[:64]!r} cannot be the target of a request: it is not visible ASCII"
        )
    return target


def _response(
    request: Request,
    exchange: Exchange,
    head: ResponseHead,
    deadline: Deadline,
    timings: dict[str, float],
    trace: Trace | None,
) -> Response:
    connection = exchange.connection
    response = Response(
        head.status,
        stream=ExchangeBody(exchange, deadline, request, trace),
        request=request,
        extensions={
            "http_version": head.http_version,
            "reason_phrase": head.reason,
            "stream_id": exchange.stream_id,
            "timings": timings,
            "connection_info": connection.facts | {"reused": exchange.reused},
        },
    )
    response.headers = Headers.from_raw(head.fields)  # which nobody else has
    return response


def _timeout(extensions: dict[str, Any]) -> Timeout:
    timeout = extensions.get("timeout", DEFAULT_TIMEOUT)
    return timeout if isinstance(timeout, Timeout) else Timeout(**timeout)
