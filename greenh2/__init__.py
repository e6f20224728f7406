"""greenh2 is an HTTP client for gevent: HTTP/2 and HTTP/1.1 over one pool of connections.

    import greenh2

    with greenh2.Client() as client:
        client.get("https://example.org/").raise_for_status().text

This page is the whole public face.  What is imported from a module with an underscore may change at any time.
"""

import importlib
import typing

from greenh2._api import delete, get, head, options, patch, post, put, request, stream
from greenh2._client import Client
from greenh2._errors import (
    CloseError,
    ConnectError,
    ConnectTimeout,
    CookieConflict,
    DecodingError,
    HTTPError,
    HTTPStatusError,
    InsecureRequestWarning,
    InvalidURL,
    LocalProtocolError,
    NetworkError,
    PoolTimeout,
    ProtocolError,
    ProxyError,
    ReadError,
    ReadTimeout,
    RemoteProtocolError,
    RequestError,
    RequestNotRead,
    ResponseNotRead,
    ResponseTooLarge,
    ServerDisconnected,
    StreamClosed,
    StreamConsumed,
    StreamError,
    TimeoutException,
    TooManyRedirects,
    TotalTimeout,
    TransportError,
    UnsupportedProtocol,
    WriteError,
    WriteTimeout,
)
from greenh2._middleware.auth import Auth, BasicAuth, FunctionAuth
from greenh2._models.codes import codes
from greenh2._models.config import Limits
from greenh2._models.cookies import Cookies
from greenh2._models.headers import Headers
from greenh2._models.proxy import Proxy
from greenh2._models.request import Request
from greenh2._models.response import Response
from greenh2._models.streams import ByteStream, SyncByteStream
from greenh2._models.timeouts import USE_CLIENT_DEFAULT, Timeout
from greenh2._models.transport import BaseTransport, MockTransport
from greenh2._models.url import URL, QueryParams
from greenh2._version import __version__

if typing.TYPE_CHECKING:
    from greenh2._middleware.digest import DigestAuth
    from greenh2._middleware.netrc import NetRCAuth
    from greenh2._net.tls import create_ssl_context
    from greenh2._transport import HTTPTransport
    from greenh2._wsgi import WSGITransport

__all__ = [
    "URL",
    "USE_CLIENT_DEFAULT",
    "Auth",
    "BaseTransport",
    "BasicAuth",
    "ByteStream",
    "Client",
    "CloseError",
    "ConnectError",
    "ConnectTimeout",
    "CookieConflict",
    "Cookies",
    "DecodingError",
    "DigestAuth",
    "FunctionAuth",
    "HTTPError",
    "HTTPStatusError",
    "HTTPTransport",
    "Headers",
    "InsecureRequestWarning",
    "InvalidURL",
    "Limits",
    "LocalProtocolError",
    "MockTransport",
    "NetRCAuth",
    "NetworkError",
    "PoolTimeout",
    "ProtocolError",
    "Proxy",
    "ProxyError",
    "QueryParams",
    "ReadError",
    "ReadTimeout",
    "RemoteProtocolError",
    "Request",
    "RequestError",
    "RequestNotRead",
    "Response",
    "ResponseNotRead",
    "ResponseTooLarge",
    "ServerDisconnected",
    "StreamClosed",
    "StreamConsumed",
    "StreamError",
    "SyncByteStream",
    "Timeout",
    "TimeoutException",
    "TooManyRedirects",
    "TotalTimeout",
    "TransportError",
    "UnsupportedProtocol",
    "WSGITransport",
    "WriteError",
    "WriteTimeout",
    "__version__",
    "codes",
    "create_ssl_context",
    "delete",
    "get",
    "head",
    "options",
    "patch",
    "post",
    "put",
    "request",
    "stream",
]

#: Where the names are that an import does not bring: the network, which the first Client loads that uses it, and what
#: few programs want.  Each is imported when it is first asked for.
_LATER = {
    "DigestAuth": "greenh2._middleware.digest",
    "HTTPTransport": "greenh2._transport",
    "NetRCAuth": "greenh2._middleware.netrc",
    "WSGITransport": "greenh2._wsgi",
    "create_ssl_context": "greenh2._net.tls",
}


def _later(name: str) -> object:
    if name not in _LATER:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value = globals()[name] = getattr(importlib.import_module(_LATER[name]), name)
    return value


if not typing.TYPE_CHECKING:  # which is to know no more names than there are
    __getattr__ = _later


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
