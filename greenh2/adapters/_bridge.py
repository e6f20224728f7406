"""From httpx to greenh2 and back, for httpx and every module that looks like it, which is handed in as `family`."""

from __future__ import annotations

import os
import ssl
import sys
from collections.abc import Iterable, Iterator, Mapping
from functools import partial
from typing import TYPE_CHECKING, Any

import greenh2._errors as ours
from greenh2._connection.body import ExchangeBody
from greenh2._models.body import Body, BytesBody, IterableBody
from greenh2._models.config import Limits
from greenh2._models.proxy import Proxy
from greenh2._models.request import Request
from greenh2._models.response import Response
from greenh2._models.settings import CertTypes, Http2Choice, SocketOption
from greenh2._models.timeouts import Timeout
from greenh2._models.transport import BaseTransport
from greenh2._transport import HTTPTransport
from greenh2.adapters._lines import Line, transport_of

if TYPE_CHECKING:
    from greenh2._client import Client

#: Extensions of a request that mean the same here.
_CARRIED = ("trace", "sni_hostname")
#: And those of a response.
_TOLD = ("http_version", "timings", "connection_info")
#: Where httpx has another name for an error, or none.
_NAMES = {"ServerDisconnected": "RemoteProtocolError", "TotalTimeout": "TimeoutException"}


class Bridge:
    """What the GreenTransport of each family is: a transport of greenh2, spoken to in httpx's words.

    The arguments are those of httpx's HTTPTransport, with the meaning that they have for greenh2's: `limits` and
    `proxy` may be either's.  A proxy is only what is said here: the environment is httpx's to ask.  `pool` is a
    greenh2.Client, or its transport, whose connections are used: nothing else of that client has any effect, the
    other arguments are left to it, and `close()` leaves it open.

    Requests may have the extensions "timeout" (with a "total" too), "trace" (called with greenh2's events),
    "sni_hostname" and "target"; responses have "http_version", "reason_phrase", "stream_id" and "network_stream",
    and greenh2's "timings" and "connection_info".  Raises httpx's errors, each with greenh2's as its `__cause__`.
    """

    #: httpx, or a module with the same names; and ResponseStream as that wants it.
    family: Any
    stream_class: type[ResponseStream]

    def __init__(
        self,
        *,
        verify: bool | str | os.PathLike[str] | ssl.SSLContext = True,
        cert: CertTypes | None = None,
        trust_env: bool = True,
        http1: bool = True,
        http2: Http2Choice = True,
        limits: Any = None,  # each family has Limits of its own
        proxy: Any = None,  # and a Proxy, and a URL
        uds: str | os.PathLike[str] | None = None,
        local_address: str | None = None,
        retries: int = 0,
        socket_options: Iterable[SocketOption] | None = None,
        pool: Client | BaseTransport | None = None,
    ) -> None:
        self._own: HTTPTransport | None = None
        self._closed = False
        if pool is not None:
            self._line = Line(transport_of(pool))
            return
        #: Makes the transport that is this one's own, and another one when that was closed.
        self._make = partial(
            HTTPTransport,
            verify=verify,
            cert=cert,
            trust_env=trust_env,
            http1=http1,
            http2=http2,
            limits=_limits(limits),
            proxy=None if proxy is None else self._proxy(proxy),
            uds=uds,
            local_address=local_address,
            retries=retries,
            socket_options=[*socket_options] if isinstance(socket_options, Iterable) else socket_options,
        )
        self._own = self._make()
        self._line = Line(self._own)

    def _proxy(self, proxy: Any) -> Proxy:
        """Return greenh2's Proxy for whatever names one.  Raises ValueError, as httpx does, and httpx's InvalidURL."""
        if isinstance(proxy, Proxy):
            return proxy
        try:
            if not isinstance(proxy, self.family.Proxy):
                return Proxy(str(proxy) if isinstance(proxy, self.family.URL) else proxy)
            return Proxy(
                str(proxy.url),
                ssl_context=proxy.ssl_context,
                auth=proxy.auth,
                headers=proxy.headers.raw,
            )
        except ours.InvalidURL as exc:
            raise self.family.InvalidURL(str(exc)) from exc

    def _send(self, request: Any) -> Any:
        """Return the family's Response, the body yet to be read.  Raises the family's errors.  Switches greenlets."""
        if self._closed:
            self._own = self._make()
            self._line = Line(self._own)
            self._closed = False
        try:
            response = self._line.send(self._outgoing(request))
        except (ours.HTTPError, ours.InvalidURL) as exc:
            raise told(self.family, exc, request) from exc
        return self.family.Response(
            response.status_code,
            headers=response.headers.raw,
            stream=self.stream_class(self.family, response, request),
            extensions=_extensions(response),
        )

    def _outgoing(self, request: Any) -> Request:
        extensions = {name: request.extensions[name] for name in _CARRIED if name in request.extensions}
        extensions["target"] = request.extensions.get("target", request.url.raw_path)
        extensions["timeout"] = _timeout(request.extensions.get("timeout", {}))
        return Request(
            request.method,
            str(request.url),
            headers=request.headers.raw,
            content=self._body(request.stream),
            extensions=extensions,
        )

    def _body(self, stream: Any) -> Body:
        if isinstance(stream, self.family.ByteStream):
            return BytesBody(b"".join(stream))
        if not isinstance(stream, self.family.SyncByteStream):
            raise RuntimeError("The request has an asynchronous body, which only an AsyncClient can send.")
        return IterableBody(_pieces(stream))

    def close(self) -> None:
        """Close every connection, unless the pool was given.  It may be used again.  Never waits."""
        if self._own is not None:
            self._own.close()
            self._closed = True

    def __del__(self) -> None:
        # __init__ may have failed before there was one.
        own = getattr(self, "_own", None)
        if own is not None and not sys.is_finalizing():
            own.retire()

    def __repr__(self) -> str:
        return f"<GreenTransport {'' if self._own is not None else 'shared '}{self._line.transport!r}>"


class ResponseStream:
    """The body of a response as it arrives.  Iterating switches greenlets.

    Each family has one that is also its SyncByteStream.
    """

    def __init__(self, family: Any, response: Response, request: Any) -> None:
        self._family = family
        self._response = response
        self._request = request

    def __iter__(self) -> Iterator[bytes]:
        try:
            yield from self._response.stream
        except ours.HTTPError as exc:
            raise told(self._family, exc, self._request) from exc
        except ours.StreamClosed as exc:  # which httpx has for a body that nobody has begun to read
            raise self._family.ReadError(str(exc), request=self._request) from exc

    def close(self) -> None:
        """Give the exchange back, read or not.  Never waits."""
        self._response.close()


class NetworkStream:
    """What may be asked about the connection of a response.  It can be neither read nor written: others use it too."""

    def __init__(self, response: Response) -> None:
        stream = response.stream
        info: Mapping[str, Any] = response.extensions.get("connection_info") or {}
        self._extra = {
            "client_addr": info.get("local_address"),
            "server_addr": info.get("remote_address"),
            "ssl_object": stream.tls if isinstance(stream, ExchangeBody) else None,
        }

    def get_extra_info(self, info: str) -> Any:
        """Return "ssl_object", "client_addr" or "server_addr"; None for anything else, "socket" included."""
        return self._extra.get(info)


def _extensions(response: Response) -> dict[str, Any]:
    had = response.extensions
    extensions = {name: had[name] for name in _TOLD if name in had}
    if had.get("http_version") == b"HTTP/2":
        extensions["stream_id"] = had["stream_id"]
    elif "reason_phrase" in had:
        extensions["reason_phrase"] = had["reason_phrase"]
    extensions["network_stream"] = NetworkStream(response)
    return extensions


def told(family: Any, error: Exception, request: Any) -> Exception:
    """Return the family's error of the same name, or of the nearest one above it.

    A URL that only httpx takes for one leads nowhere: for httpx that is a ConnectError, and it has an InvalidURL
    where a URL is made, not where it is requested.
    """
    if isinstance(error, ours.InvalidURL):
        nowhere: Exception = family.ConnectError(str(error), request=request)
        return nowhere
    for kind in type(error).__mro__:
        name = _NAMES.get(kind.__name__, kind.__name__)
        if kind.__module__ == ours.__name__ and hasattr(family, name):
            found: Exception = getattr(family, name)(str(error), request=request)
            return found
    raise AssertionError(f"{error!r} has no name in httpx") from error


def _limits(limits: Any) -> Limits:
    """Return Limits of greenh2 as they are, and those of httpx with all else at its default."""
    if limits is None:
        return Limits()
    if isinstance(limits, Limits):
        return limits
    if not hasattr(limits, "max_keepalive_connections"):
        raise TypeError(f"limits are Limits of httpx or of greenh2, not {limits!r}")
    return Limits(
        max_connections=limits.max_connections,
        max_keepalive_connections=limits.max_keepalive_connections,
        keepalive_expiry=limits.keepalive_expiry,
    )


def _timeout(timeout: Mapping[str, Any]) -> Timeout:
    """Return the bounds of the extension "timeout"; what it does not name is without bound, as in httpx."""
    names = ("connect", "read", "write", "pool", "total")
    return Timeout(None, **{name: timeout[name] for name in names if name in timeout})


def _pieces(stream: Iterable[bytes]) -> Iterator[bytes]:
    """Make a generator of it, so that it counts as one that can be read only once."""
    yield from stream
