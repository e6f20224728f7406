"""What the errors carry, how they are caught, and that they survive pickling."""

from __future__ import annotations

import pickle

import pytest

from greenh2 import _errors
from greenh2._errors import (
    ConnectTimeout,
    CookieConflict,
    DecodingError,
    HTTPError,
    HTTPStatusError,
    InvalidURL,
    NetworkError,
    ProtocolError,
    ReadError,
    RemoteProtocolError,
    RequestNotRead,
    ResponseNotRead,
    ServerDisconnected,
    StreamClosed,
    StreamConsumed,
    StreamError,
    TimeoutException,
    TotalTimeout,
    TransportError,
)
from greenh2._models.request import Request
from greenh2._models.response import Response

TREE = {
    "HTTPError": Exception,
    "RequestError": _errors.HTTPError,
    "TransportError": _errors.RequestError,
    "TimeoutException": _errors.TransportError,
    "ConnectTimeout": _errors.TimeoutException,
    "ReadTimeout": _errors.TimeoutException,
    "WriteTimeout": _errors.TimeoutException,
    "PoolTimeout": _errors.TimeoutException,
    "TotalTimeout": _errors.TimeoutException,
    "NetworkError": _errors.TransportError,
    "ConnectError": _errors.NetworkError,
    "ReadError": _errors.NetworkError,
    "WriteError": _errors.NetworkError,
    "CloseError": _errors.NetworkError,
    "ProtocolError": _errors.TransportError,
    "LocalProtocolError": _errors.ProtocolError,
    "RemoteProtocolError": _errors.ProtocolError,
    "ServerDisconnected": _errors.ReadError,
    "ProxyError": _errors.TransportError,
    "UnsupportedProtocol": _errors.TransportError,
    "DecodingError": _errors.RequestError,
    "ResponseTooLarge": _errors.RequestError,
    "TooManyRedirects": _errors.RequestError,
    "InsecureRequestWarning": Warning,
    "HTTPStatusError": _errors.HTTPError,
    "InvalidURL": Exception,
    "CookieConflict": Exception,
    "StreamError": RuntimeError,
    "StreamConsumed": _errors.StreamError,
    "StreamClosed": _errors.StreamError,
    "ResponseNotRead": _errors.StreamError,
    "RequestNotRead": _errors.StreamError,
}


@pytest.mark.parametrize("name", TREE)
def test_each_error_stands_in_its_place_in_the_tree(name: str) -> None:
    assert getattr(_errors, name).__bases__[0] is TREE[name]


def test_all_errors_are_exported() -> None:
    assert set(_errors.__all__) == set(TREE)


@pytest.mark.parametrize("name", TREE)
def test_the_module_docstring_draws_every_error(name: str) -> None:
    assert name in str(_errors.__doc__)


@pytest.mark.parametrize("caught", [ReadError, NetworkError, RemoteProtocolError, ProtocolError])
def test_a_server_that_disconnects_is_caught_as_network_and_as_protocol_error(
    caught: type[Exception],
) -> None:
    with pytest.raises(caught):
        raise ServerDisconnected("gone")


def test_an_error_without_a_request_says_so_when_asked_for_it() -> None:
    with pytest.raises(RuntimeError, match="ReadError belongs to no request"):
        _ = ReadError("x").request


def test_an_error_knows_the_request_it_was_made_with() -> None:
    request = Request("GET", "https://example.org/")
    assert ReadError("x", request=request).request is request


def test_the_request_of_an_error_can_be_set_later() -> None:
    request = Request("GET", "https://example.org/")
    error = DecodingError("x")
    error.request = request
    assert error.request is request


def test_a_transport_error_may_not_be_retried_unless_told_so() -> None:
    error = TransportError("x")
    assert (error.unprocessed, error.reused_silent, error.http11_required) == (False, False, False)


def test_a_transport_error_carries_what_a_retry_must_know() -> None:
    error = ServerDisconnected("x", unprocessed=True, reused_silent=True, http11_required=True)
    assert (error.unprocessed, error.reused_silent, error.http11_required) == (True, True, True)


@pytest.mark.parametrize("kind", [HTTPError, TransportError, TotalTimeout, ConnectTimeout])
def test_an_error_needs_no_message(kind: type[HTTPError]) -> None:
    assert str(kind()) == ""


@pytest.mark.parametrize("kind", [TimeoutException, ServerDisconnected, DecodingError])
def test_pickling_keeps_class_message_and_request(kind: type[HTTPError]) -> None:
    error = pickle.loads(pickle.dumps(kind("why", request=Request("GET", "https://example.org/"))))
    assert (type(error), str(error), str(error.request.url)) == (kind, "why", "https://example.org/")


def test_pickling_keeps_what_a_retry_must_know() -> None:
    error = pickle.loads(pickle.dumps(ReadError("x", unprocessed=True)))
    assert (error.unprocessed, error.reused_silent) == (True, False)


@pytest.mark.parametrize("protocol", range(2, pickle.HIGHEST_PROTOCOL + 1))
def test_a_status_error_can_be_pickled_by_every_modern_protocol(protocol: int) -> None:
    request = Request("GET", "https://example.org/")
    error = HTTPStatusError("bad", request=request, response=Response(500, text="oh", request=request))
    copy = pickle.loads(pickle.dumps(error, protocol))
    assert (str(copy), copy.response.text, copy.request.method) == ("bad", "oh", "GET")


@pytest.mark.parametrize("kind", [StreamConsumed, StreamClosed, ResponseNotRead, RequestNotRead])
def test_misuse_of_a_body_explains_itself(kind: type[StreamError]) -> None:
    assert len(str(kind())) > 20


@pytest.mark.parametrize("kind", [StreamConsumed, StreamClosed, ResponseNotRead, RequestNotRead])
def test_misuse_of_a_body_may_be_explained_better(kind: type[StreamError]) -> None:
    assert str(kind("better")) == "better"


@pytest.mark.parametrize("error", [StreamConsumed("a"), InvalidURL("b"), CookieConflict("c")])
def test_the_other_errors_can_be_pickled(error: Exception) -> None:
    copy = pickle.loads(pickle.dumps(error))
    assert (type(copy), str(copy)) == (type(error), str(error))
