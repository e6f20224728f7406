"""Every error that greenh2 raises, in one tree.

    HTTPError                           all that can go wrong with a request, or with its answer
    +- RequestError                     no usable response came of it
    |  +- TransportError                the network, the peer or the protocol failed
    |  |  +- TimeoutException           something took longer than its Timeout allows
    |  |  |  +- ConnectTimeout          DNS, TCP, proxy or TLS
    |  |  |  +- ReadTimeout             the peer sent nothing
    |  |  |  +- WriteTimeout            the peer took nothing
    |  |  |  +- PoolTimeout             no connection or stream became free
    |  |  |  +- TotalTimeout            the whole exchange, redirects and retries included
    |  |  +- NetworkError
    |  |  |  +- ConnectError
    |  |  |  +- ReadError               +- ServerDisconnected (also a RemoteProtocolError)
    |  |  |  +- WriteError
    |  |  |  +- CloseError
    |  |  +- ProtocolError
    |  |  |  +- LocalProtocolError      we were asked to send what must not be sent
    |  |  |  +- RemoteProtocolError     the peer sent what must not be sent
    |  |  +- ProxyError
    |  |  +- UnsupportedProtocol        neither http:// nor https://
    |  +- DecodingError                 the body is not what Content-Encoding says
    |  +- ResponseTooLarge              its body has more bytes than max_response_bytes
    |  +- TooManyRedirects
    +- HTTPStatusError                  Response.raise_for_status() met a 3xx, 4xx or 5xx

    InvalidURL                          the URL cannot be understood
    CookieConflict                      several cookies bear the name that was asked for
    StreamError (RuntimeError)          the body was used in a way it does not allow
    +- StreamConsumed
    +- StreamClosed
    +- ResponseNotRead
    +- RequestNotRead

    InsecureRequestWarning (Warning)    nobody verifies who the server is

Names and places are those of httpx, so that `except` clauses carry over; TotalTimeout, ServerDisconnected and
ResponseTooLarge are ours.  Every error can be pickled.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from greenh2._models.request import Request
    from greenh2._models.response import Response

__all__ = [
    "CloseError",
    "ConnectError",
    "ConnectTimeout",
    "CookieConflict",
    "DecodingError",
    "HTTPError",
    "HTTPStatusError",
    "InsecureRequestWarning",
    "InvalidURL",
    "LocalProtocolError",
    "NetworkError",
    "PoolTimeout",
    "ProtocolError",
    "ProxyError",
    "ReadError",
    "ReadTimeout",
    "RemoteProtocolError",
    "RequestError",
    "RequestNotRead",
    "ResponseNotRead",
    "ResponseTooLarge",
    "ServerDisconnected",
    "StreamClosed",
    "StreamConsumed",
    "StreamError",
    "TimeoutException",
    "TooManyRedirects",
    "TotalTimeout",
    "TransportError",
    "UnsupportedProtocol",
    "WriteError",
    "WriteTimeout",
]


class HTTPError(Exception):
    """Anything that went wrong with one request: catch this around a call and its `raise_for_status()`."""

    def __init__(self, message: str = "", *, request: Request | None = None) -> None:
        super().__init__(message)
        self._request = request

    @property
    def request(self) -> Request:
        """The request that failed.  Raises RuntimeError when the error was raised away from any request."""
        if self._request is None:
            raise RuntimeError(
                f"This {type(self).__name__} belongs to no request: its .request was never set."
            )
        return self._request

    @request.setter
    def request(self, request: Request) -> None:
        self._request = request

    def __reduce__(self) -> tuple[object, ...]:
        # The default would call the class with its positional arguments alone, and some need more than those.
        return _rebuild, (type(self), self.args), self.__dict__


def _rebuild(cls: type[HTTPError], args: tuple[object, ...]) -> HTTPError:
    return cls.__new__(cls, *args)


class RequestError(HTTPError):
    """No usable response came of a request."""


class TransportError(RequestError):
    """The network, the peer or the protocol failed.

    Some facts tell a retry what it may do:

    `unprocessed`: the request provably was not acted upon, so that it may be sent again whatever its method
    (RFC 9113 section 8.7: REFUSED_STREAM, or a stream above the last one named by GOAWAY; or never written).
    `moved`: the peer is leaving this connection in good order and will take the request on another one
    (RFC 9113 section 6.8: GOAWAY with NO_ERROR).
    `reused_silent`: it travelled on a reused connection which ended before the first byte of an answer, so
    that an idempotent request may be sent again (RFC 9110 section 9.2.2).
    `http11_required`: the peer refuses to serve it over HTTP/2 (RFC 9113 section 7, HTTP_1_1_REQUIRED).
    """

    def __init__(
        self,
        message: str = "",
        *,
        request: Request | None = None,
        unprocessed: bool = False,
        reused_silent: bool = False,
        http11_required: bool = False,
        moved: bool = False,
    ) -> None:
        super().__init__(message, request=request)
        self.unprocessed = unprocessed
        self.reused_silent = reused_silent
        self.http11_required = http11_required
        self.moved = moved


class TimeoutException(TransportError):
    """Something took longer than the Timeout allows."""


class ConnectTimeout(TimeoutException):
    """No connection within `Timeout.connect` seconds: DNS, TCP, proxy and TLS together."""


class ReadTimeout(TimeoutException):
    """The peer sent nothing for `Timeout.read` seconds."""


class WriteTimeout(TimeoutException):
    """The peer took no bytes for `Timeout.write` seconds."""


class PoolTimeout(TimeoutException):
    """No connection or stream became free within `Timeout.pool` seconds."""


class TotalTimeout(TimeoutException):
    """The exchange was not over after `Timeout.total` seconds, redirects, retries and body included."""


class NetworkError(TransportError):
    """The operating system or the peer broke the connection off."""


class ConnectError(NetworkError):
    """No connection could be made."""


class ReadError(NetworkError):
    """The connection failed while it was read."""


class WriteError(NetworkError):
    """The connection failed while it was written."""


class CloseError(NetworkError):
    """The connection failed while it was closed."""


class ProtocolError(TransportError):
    """HTTP was broken, by us or by the peer."""


class LocalProtocolError(ProtocolError):
    """We were asked to send something that HTTP does not allow, and did not send it."""


class RemoteProtocolError(ProtocolError):
    """The peer sent something that HTTP does not allow."""


class ServerDisconnected(ReadError, RemoteProtocolError):
    """The peer went away before the response was complete.

    httpx calls this a RemoteProtocolError, most callers look for a NetworkError: it is caught by both names.

    `partial`: some bytes of the response's head, or its whole head, had arrived before.  Over HTTP/2, where a head
    comes whole or not at all, it is False.
    """

    partial: bool = False


class ProxyError(TransportError):
    """The proxy refused, or did not understand."""


class UnsupportedProtocol(TransportError):
    """The URL's scheme is neither http nor https."""


class DecodingError(RequestError):
    """The body is not what its Content-Encoding says, or ends too early for it."""


class ResponseTooLarge(RequestError):
    """The body of the response is larger than `max_response_bytes` allows; nothing more of it is read."""


class InsecureRequestWarning(Warning):
    """A request goes to a server whose certificate is not verified, so that anybody may answer in its place."""


class TooManyRedirects(RequestError):
    """The redirects did not end within `max_redirects`."""


class HTTPStatusError(HTTPError):
    """`Response.raise_for_status()` met a status outside 2xx.  `.response` is that response."""

    def __init__(self, message: str, *, request: Request, response: Response) -> None:
        super().__init__(message, request=request)
        self.response = response


class InvalidURL(Exception):
    """The URL cannot be understood, or holds what no URL may hold.  The message never shows its password."""


class CookieConflict(Exception):
    """Several cookies bear the name that was asked for: name the domain or the path as well."""


class StreamError(RuntimeError):
    """The program used a body in a way it does not allow."""


class StreamConsumed(StreamError):
    """The body was read once, and can be read only once."""

    def __init__(self, message: str = "") -> None:
        super().__init__(message or "The body has been read already, and it can be read only once.")


class StreamClosed(StreamError):
    """The body was closed before it was read."""

    def __init__(self, message: str = "") -> None:
        super().__init__(message or "The body cannot be read: it has been closed.")


class ResponseNotRead(StreamError):
    """The content of a streamed response was asked for before it was read."""

    def __init__(self, message: str = "") -> None:
        super().__init__(message or "The response is streamed and has no content yet: call its read() first.")


class RequestNotRead(StreamError):
    """The content of a streamed request was asked for before it was read."""

    def __init__(self, message: str = "") -> None:
        super().__init__(
            message or "The body of the request is a stream without content yet: call read() first."
        )
