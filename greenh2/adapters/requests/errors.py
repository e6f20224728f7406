"""What goes wrong, in the words of urllib3 for its Retry and of requests for its callers.

requests tells its users of errors that urllib3 raised, and hands those on as the first argument of its own.  Code looks
into them (`error.args[0].reason`), and Retry decides by them.  So an error of greenh2 is put into the words of urllib3
first, then into those of requests, and is the `__cause__` of both.
"""

from __future__ import annotations

import ssl
from socket import gaierror
from typing import Any

import requests.exceptions as told
import urllib3.exceptions as beneath
from requests.models import PreparedRequest

import greenh2._errors as ours


class WriteTimeout(told.ConnectionError, told.Timeout):
    """The server took nothing of the request's body for as long as it may be silent.

    requests raises a plain ConnectionError then; this is one, and a Timeout as well.
    """


class BrokenHead(told.ConnectionError, told.ChunkedEncodingError):
    """The server went away in the midst of the head of its response.

    requests takes what has come for a head, and raises ChunkedEncodingError if that begins a chunked body, whose
    first chunk it misses; this is one, and a ConnectionError as well.
    """


class InvalidLength(told.ConnectionError, told.InvalidHeader):
    """The head of the response has a Content-Length that is none, or two that differ.

    requests raises InvalidHeader for two; this is one, and a ConnectionError as for every malformed response.
    """


class Place:
    """Where a request went, as errors of urllib3 tell it: they want a pool, or a connection, of theirs."""

    def __init__(self, scheme: str, host: str, port: int, *, proxied: bool = False) -> None:
        self.scheme = scheme
        #: Whether it goes through a proxy, which then is what cannot be connected to.
        self.proxied = proxied
        self.host = host
        self.port = port

    def __str__(self) -> str:
        return f"greenh2(host={self.host!r}, port={self.port})"

    __repr__ = __str__


def in_urllib3(error: ours.TransportError, place: Any, url: str) -> beneath.HTTPError:
    """Return the error that urllib3 would have raised before there was a response; ours is its cause."""
    found = _in_urllib3(error, place, url)
    found.__cause__ = error
    return found


def _in_urllib3(error: ours.TransportError, place: Any, url: str) -> beneath.HTTPError:
    match error:
        case ours.ConnectTimeout() | ours.PoolTimeout():
            return beneath.ConnectTimeoutError(place, str(error))
        case ours.ConnectError():
            return _unconnected(error, place)
        case ours.ReadTimeout() | ours.TotalTimeout():
            return beneath.ReadTimeoutError(place, url, f"Read timed out. ({error})")
        case ours.ProxyError():
            return beneath.ProxyError(str(error), error)
        case ours.LocalProtocolError():
            return beneath.InvalidHeader(str(error))
        case _:
            return beneath.ProtocolError("Connection aborted.", error)


def _unconnected(error: ours.ConnectError, place: Any) -> beneath.HTTPError:
    cause = error.__cause__
    if isinstance(cause, ours.ReadError):
        cause = cause.__cause__
    if isinstance(cause, ssl.SSLError):
        return beneath.SSLError(str(error))
    if place.proxied:
        return beneath.ProxyError(str(error), beneath.NewConnectionError(place, str(error)))
    if isinstance(cause, gaierror):
        return beneath.NameResolutionError(place.host, place, cause)
    return beneath.NewConnectionError(place, str(error))


def of_a_source(error: BaseException | None) -> beneath.HTTPError:
    """Return the error that urllib3 makes of one that the maker of a request's body has raised; that is its cause."""
    match error:
        case beneath.HTTPError():
            return error
        case ssl.SSLError():
            found: beneath.HTTPError = beneath.SSLError(error)
        case _:
            found = beneath.ProtocolError("Connection aborted.", error)
    found.__cause__ = error
    return found


def of_a_body(error: ours.HTTPError | ours.StreamClosed, place: Any, url: str) -> beneath.HTTPError:
    """Return the error that urllib3 would have raised while a body is read; to be raised from ours."""
    if isinstance(error, (ours.ReadTimeout, ours.TotalTimeout)):
        return beneath.ReadTimeoutError(place, url, f"Read timed out. ({error})")
    if isinstance(error.__cause__, ssl.SSLError):
        return beneath.SSLError(str(error))
    return beneath.ProtocolError(f"Connection broken: {error!r}", error)


def in_requests(error: beneath.HTTPError, request: PreparedRequest) -> told.RequestException:
    """Return the error that requests raises for one of urllib3's."""
    if not isinstance(error, beneath.MaxRetryError):
        return _kind(error)(error, request=request)
    if isinstance(error.reason, beneath.ReadTimeoutError):
        # HTTPAdapter tells a read that was too slow from all the others only where it was not to be repeated.
        return told.ConnectionError(error, request=request)
    return _kind(error.reason)(error, request=request)


def _kind(reason: Exception | None) -> type[told.RequestException]:
    match reason:
        case beneath.NewConnectionError():
            return told.ConnectionError
        case beneath.ConnectTimeoutError():
            return told.ConnectTimeout
        case beneath.ReadTimeoutError():
            return told.ReadTimeout
        case beneath.ResponseError():
            return told.RetryError
        case beneath.ProxyError():
            return told.ProxyError
        case beneath.SSLError():
            return told.SSLError
        case beneath.InvalidHeader():
            return told.InvalidHeader
        case _:
            return told.ConnectionError if reason is None else _kind_of_broken(reason.__cause__)


def _kind_of_broken(cause: BaseException | None) -> type[told.RequestException]:
    match cause:
        case ours.WriteTimeout():
            return WriteTimeout
        case ours.ServerDisconnected(partial=True):
            return BrokenHead
        case ours.RemoteProtocolError() if "content-length" in str(cause.__cause__ or cause).lower():
            return InvalidLength
        case _:
            return told.ConnectionError
