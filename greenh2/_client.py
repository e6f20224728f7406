"""A Client sends requests over one pool of connections, with settings and cookies that its requests share."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterable, Mapping
from contextlib import suppress
from os import PathLike
from types import TracebackType
from typing import TYPE_CHECKING, NoReturn

from greenh2._defaults import Defaults, base_url_of, default_headers, refuse_fixed
from greenh2._errors import RequestError, StreamConsumed
from greenh2._middleware.auth import Auth, AuthTypes, auth_of
from greenh2._middleware.chain import chain
from greenh2._middleware.handler import Handler, closed_on_error
from greenh2._middleware.hooks import EventHook, EventHooks, event_hooks_of
from greenh2._models.config import Limits, checked_switch
from greenh2._models.cookies import Cookies, CookieTypes
from greenh2._models.headers import Headers, HeaderTypes
from greenh2._models.proxy import ProxyTypes
from greenh2._models.request import Request
from greenh2._models.response import Response
from greenh2._models.route import DEFAULT_PORTS, Route
from greenh2._models.settings import CertTypes, Http2Choice, Later, SocketOption
from greenh2._models.timeouts import (
    USE_CLIENT_DEFAULT,
    Timeout,
    TimeoutTypes,
    UseClientDefault,
)
from greenh2._models.transport import BaseTransport
from greenh2._models.url import URL, QueryParams, QueryParamTypes
from greenh2._net.process import pause
from greenh2._outlet import (
    checked_redirects,
    close_transport,
    handler_of,
    mount_table,
    outlet,
    proxies_of,
    router,
)
from greenh2._verbs import Verbs

if TYPE_CHECKING:
    import ssl

    from greenh2._transport import HTTPTransport
else:
    ssl = Later("ssl")

DEFAULT_TIMEOUT = Timeout(5.0)  # as httpx has


class Client(Verbs):
    """An HTTP client: HTTP/2 where the server speaks it, HTTP/1.1 elsewhere, over connections that are kept.

        with greenh2.Client(base_url="https://api.example.org/v1/", timeout=10.0) as client:
            client.get("users", params={"page": 2}).raise_for_status().json()

    Make one and use it from as many greenlets as you like: they share its connections, and the streams of one
    HTTP/2 connection.  It may be used from several native threads too; each gets connections of its own, and
    every bound of `limits` holds for each.  Making a Client does nothing: no connection, no TLS context, no
    hub.  So it may be made before a fork, and before monkey patching.  The first one imports what uses the network.

    Settings of every request, each of which may be given anew as an attribute:

    `base_url`: put before URLs that are paths.
    `headers`, `params`, `cookies`: sent along; responses add to the cookies.
    `auth`: a pair (user name, password), an Auth, or a function from Request to Request; without it, a user
    and password in the URL are used.  netrc files are never read.
    `timeout`: seconds for each phase, or a Timeout; None is no bound.  A Timeout without `total` bounds each
    wait and not the whole.
    `follow_redirects`: off by default; up to `max_redirects` then.
    `event_hooks`: {"request": [...], "response": [...]}, functions called with every Request as it goes out,
    and every Response as it comes in and before it is read, redirects and retries included.

    Settings of the connections:

    `verify`: True trusts certifi's authorities, "system" those of the system, False trusts anybody, a path names
    a file or directory of authorities; or an ssl.SSLContext.
    `cert`: a client certificate: a path, or (certificate, key), or (certificate, key, password).
    `trust_env`: heed the environment's variables for certificates and proxies.
    `http1`, `http2`: what may be spoken; http2="prior-knowledge" or http1=False speaks HTTP/2 without TLS as well.
    `limits`: see Limits.
    `proxy`: a proxy for every request, by its URL or as a Proxy.  Without it, `trust_env` has the client heed
    HTTP_PROXY, HTTPS_PROXY, ALL_PROXY and NO_PROXY as they are when it is made.
    `uds`: the path of a Unix socket to which every connection leads, whatever host the URL names.
    `local_address`: the IP address to connect from.
    `socket_options`: tuples for `setsockopt()`, as (socket.IPPROTO_TCP, socket.TCP_KEEPIDLE, 60).
    `transport`: a BaseTransport, or any function from Request to Response, in place of the network; all other
    settings of this group but `mounts` are left to it then, and so is the environment.
    `mounts`: {"https://": transport, "all://*.example.org:8080": None}: other transports for some URLs; None
    sends them directly, by no proxy.  The pattern with a port, then that with the longest host decides.  A pattern
    for another scheme, as "file://", opens it to requests, and never to redirects.

    `default_encoding`: how text is decoded whose response tells no charset: a name, or a function from the
    bytes of the body to a name.
    `max_response_bytes`: the most bytes that the body of a response may have, as received and as decoded; a
    larger one raises ResponseTooLarge, before it is read when its Content-Length says so.  None is no bound
    but that on decompression: beyond 2 MiB, 250 times what was received is a DecodingError.  The extension
    "max_response_bytes" of a request holds in its place.

    A request that provably was not processed is sent again by itself, and so is an idempotent one whose kept
    connection had been closed by the server.  Nothing else is repeated.

    Raises TypeError, ValueError or InvalidURL for settings that could never work.
    """

    def __init__(
        self,
        *,
        auth: AuthTypes | None = None,
        params: QueryParamTypes | None = None,
        headers: HeaderTypes | None = None,
        cookies: CookieTypes | None = None,
        verify: bool | str | PathLike[str] | ssl.SSLContext = True,
        cert: CertTypes | None = None,
        trust_env: bool = True,
        http1: bool = True,
        http2: Http2Choice = True,
        proxy: ProxyTypes | None = None,
        mounts: Mapping[str, BaseTransport | Handler | None] | None = None,
        timeout: TimeoutTypes = DEFAULT_TIMEOUT,
        follow_redirects: bool = False,
        limits: Limits = Limits(),  # noqa: B008  # frozen
        max_redirects: int = 20,
        event_hooks: Mapping[str, Iterable[EventHook]] | None = None,
        base_url: URL | str = "",
        transport: BaseTransport | Handler | None = None,
        default_encoding: str | Callable[[bytes], str] = "utf-8",
        max_response_bytes: int | None = None,
        uds: str | PathLike[str] | None = None,
        local_address: str | None = None,
        socket_options: Iterable[SocketOption] | None = None,
    ) -> None:
        self._closed = False
        self._entered = False
        self._trust_env = checked_switch("trust_env", trust_env)
        self._defaults = defaults = Defaults()
        self.auth = auth
        self.base_url = base_url
        self.cookies = cookies
        self.event_hooks = event_hooks
        self.follow_redirects = follow_redirects
        self.headers = headers
        self.params = params
        self.timeout = timeout
        if transport is not None and proxy is not None:
            raise ValueError("proxy= and transport= exclude each other: give the proxy to the transport")
        table = mount_table(mounts) if mounts else None
        self._own: HTTPTransport | None = None
        if transport is None:
            from greenh2._transport import HTTPTransport  # brings the network along

            transport = self._own = HTTPTransport(
                verify=verify,
                cert=cert,
                trust_env=trust_env,
                http1=http1,
                http2=http2,
                limits=limits,
                uds=uds,
                local_address=local_address,
                socket_options=socket_options,
                proxy=proxies_of(proxy, trust_env and uds is None, table),
            )
        self._transport = transport
        # What may be requested by any other scheme is for the transport to say that is mounted there.
        self._schemes = frozenset() if table is None else table.schemes - set(DEFAULT_PORTS)
        mounted = [] if table is None else [target for target in table.targets if target is not None]
        # Each once, though it may be mounted at several places.
        self._transports = list({id(each): each for each in (transport, *mounted)}.values())
        handle = handler_of(transport)
        if mounted and table is not None:
            handle = router(table, handle)
        self._handle = chain(
            outlet(handle, transport, default_encoding, max_response_bytes),
            max_redirects=checked_redirects(max_redirects),
            sleep=pause,
            jar=lambda: defaults.cookies,
            hooks=lambda: defaults.event_hooks,
        )

    def send(
        self,
        request: Request,
        *,
        stream: bool = False,
        auth: AuthTypes | UseClientDefault | None = USE_CLIENT_DEFAULT,
        follow_redirects: bool | UseClientDefault = USE_CLIENT_DEFAULT,
    ) -> Response:
        """Send a request as it was built, and return its response.

        The client adds cookies and authentication, and neither its headers nor its params: `build_request()`
        does that.  The request itself is not changed and, unless its body can be read only once, may be sent
        again; `response.request` is what was sent.  The body of the response is read into memory, unless
        `stream` is true: then the caller closes the response.

        Every second of the request's Timeout counts from here.  The request's extensions "auth",
        "follow_redirects" and "timeout" hold where no argument says otherwise, and its "cookies" beside the client's.

        Raises RequestError in its many kinds, most of all TransportError, for what goes wrong on the way;
        DecodingError when the body is not what it claims to be; TooManyRedirects; StreamConsumed when a body
        that can be read only once would be needed twice; before anything is sent, UnsupportedProtocol or
        InvalidURL for a URL that cannot be requested, and RuntimeError when the client is closed.  Whatever
        ends the call, gevent.Timeout and GreenletExit included, gives connection and stream back, and passes
        as it is.  Switches greenlets.
        """
        if self._closed:
            raise RuntimeError("Cannot send a request: the client has been closed.")
        if not isinstance(request, Request):
            raise TypeError(f"send() takes a Request, not {type(request).__name__}: see build_request()")
        prepared = self._defaults.prepare(request, auth, follow_redirects)
        try:
            if prepared.url.scheme not in self._schemes:
                Route.of(prepared.url, prepared.extensions)
            response = self._handle(prepared)
            if not stream:
                with closed_on_error(response):
                    response.read()
        except BaseException as error:
            # A generator that was begun ends here, not when it is collected; bytes and files stay as they are.
            if not isinstance(error, StreamConsumed):  # whoever has begun it may be sending it
                with suppress(Exception):
                    prepared.body.close()
            if isinstance(error, RequestError):
                _name_request(error, prepared)
            raise
        return response

    def close(self) -> None:
        """Close every connection; requests under way fail, and later ones raise RuntimeError.

        Closes the transports, also those that were given.  May be called more than once and from anywhere.
        """
        if not self._closed:
            self._closed = True
            for transport in self._transports:
                close_transport(transport)

    @property
    def auth(self) -> Auth | None:
        """The authentication of requests that do not name their own."""
        return self._defaults.auth

    @auth.setter
    def auth(self, auth: AuthTypes | None) -> None:
        self._defaults.auth = auth_of(auth)

    @property
    def base_url(self) -> URL:
        """The URL that paths are put behind; its own path ends in a slash."""
        return self._defaults.base_url

    @base_url.setter
    def base_url(self, url: URL | str) -> None:
        self._defaults.base_url = base_url_of(url)

    @property
    def cookies(self) -> Cookies:
        """The cookies to send, and those received."""
        return self._defaults.cookies

    @cookies.setter
    def cookies(self, cookies: CookieTypes | None) -> None:
        self._defaults.cookies = Cookies(cookies)

    @property
    def event_hooks(self) -> EventHooks:
        """The functions called with each "request" and each "response"; the lists may be changed."""
        return self._defaults.event_hooks

    @event_hooks.setter
    def event_hooks(self, hooks: Mapping[str, Iterable[EventHook]] | None) -> None:
        self._defaults.event_hooks = event_hooks_of(hooks)

    @property
    def follow_redirects(self) -> bool:
        """Whether requests that do not say so follow redirects."""
        return self._defaults.follow_redirects

    @follow_redirects.setter
    def follow_redirects(self, follow: bool) -> None:
        self._defaults.follow_redirects = checked_switch("follow_redirects", follow)

    @property
    def headers(self) -> Headers:
        """The headers of every request built; set anew, they keep Accept, User-Agent and their like."""
        return self._defaults.headers

    @headers.setter
    def headers(self, headers: HeaderTypes | None) -> None:
        self._defaults.headers = default_headers(headers)

    @property
    def params(self) -> QueryParams:
        """The query parameters of every request built."""
        return self._defaults.params

    @params.setter
    def params(self, params: QueryParamTypes | None) -> None:
        self._defaults.params = QueryParams(params)

    @property
    def timeout(self) -> Timeout:
        """The Timeout of requests that do not name their own."""
        return self._defaults.timeout

    @timeout.setter
    def timeout(self, timeout: TimeoutTypes) -> None:
        self._defaults.timeout = Timeout(timeout)

    @property
    def trust_env(self) -> bool:
        """Whether the environment's variables are heeded."""
        return self._trust_env

    @property
    def is_closed(self) -> bool:
        """Whether `close()` was called, or the with block has been left."""
        return self._closed

    def dump(self) -> str:
        """Return the state of the transport as text for a person: connections, their streams, who waits."""
        dump = getattr(self._transport, "dump", None)
        return repr(self._transport) if dump is None else str(dump())

    def __setattr__(self, name: str, value: object) -> None:
        refuse_fixed(name)
        super().__setattr__(name, value)

    def __enter__(self) -> Client:
        if self._closed:
            raise RuntimeError("Cannot open the client again: it has been closed. Make a new one.")
        if self._entered:
            raise RuntimeError("Cannot open the client twice: the with block left first would close it.")
        for transport in self._transports:
            if (enter := getattr(transport, "__enter__", None)) is not None:
                enter()
        self._entered = True
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._closed = True
        for transport in self._transports:
            if (leave := getattr(transport, "__exit__", None)) is not None:
                leave(kind, error, trace)
            else:
                close_transport(transport)

    def __del__(self) -> None:
        # A transport that was given may be in use elsewhere; __init__ may have failed before there was one.
        own = getattr(self, "_own", None)
        if own is not None and not self._closed and not sys.is_finalizing():
            own.retire()

    def __reduce__(self) -> NoReturn:
        raise TypeError(
            "A Client cannot be pickled or copied: it holds connections. Make one in each process."
        )

    def __repr__(self) -> str:
        state = "closed" if self._closed else "open"
        base = f" {self.base_url!r}" if self.base_url.host else ""
        return f"<Client {state}{base} {self._transport!r}>"


def _name_request(error: RequestError, request: Request) -> None:
    try:
        error.request  # noqa: B018  # raises when it is not set
    except RuntimeError:
        error.request = request
