"""Http1Protocol: whether a connection may serve another request, which must never get the answer to the last."""

from __future__ import annotations

import pytest

from greenh2._errors import LocalProtocolError, ServerDisconnected
from greenh2._protocol.events import CapacityChanged, HeadReceived, RequestHead, ResponseEnded
from greenh2._protocol.http1 import READ_AHEAD, Http1Protocol
from tests.protocol.peers import GET, HEAD, connection_failure, receive
from tests.protocol.test_http1 import OK, body, client, post

EMPTY = OK + b"Content-Length: 0\r\n\r\n"
UPLOAD = post((b"Content-Length", b"6"))


def _reusable(protocol: Http1Protocol) -> bool:
    """Try what the protocol promises."""
    if protocol.retired:
        return False
    stream_id = protocol.open(GET, end=True)
    assert protocol.outgoing()
    events = receive(protocol, OK + b"Content-Length: 2\r\n\r\nok")
    assert (body(events), events[-2]) == (b"ok", ResponseEnded(stream_id))
    return True


@pytest.mark.parametrize(
    "wire",
    [
        EMPTY,
        OK + b"Content-Length: 3\r\n\r\nabc",
        OK + b"Connection: keep-alive\r\nContent-Length: 0\r\n\r\n",
        OK + b"Transfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
        b"HTTP/1.1 204 No Content\r\n\r\n",
        b"HTTP/1.1 304 Not Modified\r\n\r\n",
        b"HTTP/1.1 500 Oh No\r\nContent-Length: 0\r\n\r\n",
    ],
)
def test_a_whole_response_leaves_the_connection_in_use(wire: bytes) -> None:
    protocol = client()
    receive(protocol, wire)
    assert _reusable(protocol)


def test_a_connection_serves_many_requests() -> None:
    protocol = client()
    receive(protocol, EMPTY)
    assert all(_reusable(protocol) for _ in range(5))


def test_streams_are_numbered() -> None:
    protocol = client()
    receive(protocol, EMPTY)
    assert protocol.open(GET, end=True) == 2


@pytest.mark.parametrize(
    "wire",
    [
        OK + b"Connection: close\r\nContent-Length: 0\r\n\r\n",
        OK + b"Connection: Keep-Alive, Close\r\nContent-Length: 0\r\n\r\n",
        b"HTTP/1.0 200 OK\r\nContent-Length: 0\r\n\r\n",
        b"HTTP/1.0 200 OK\r\nConnection: keep-alive\r\nContent-Length: 0\r\n\r\n",
        OK + b"Content-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
        EMPTY + b"trailing",
        EMPTY + EMPTY,
        b"HTTP/1.1 204 No Content\r\nContent-Length: 5\r\n\r\nhello",
    ],
)
def test_some_responses_are_the_last_of_their_connection(wire: bytes) -> None:
    protocol = client()
    events = receive(protocol, wire)
    assert events[-2:] == [ResponseEnded(1), CapacityChanged()]
    assert protocol.retired


def test_a_request_that_asks_to_close_is_the_last_of_its_connection() -> None:
    protocol = client(post((b"Connection", b"close"), (b"Content-Length", b"0")))
    receive(protocol, EMPTY)
    assert protocol.retired


def test_an_upgrade_that_the_server_did_not_take_leaves_the_connection_in_use() -> None:
    protocol = client(post((b"Upgrade", b"websocket"), (b"Content-Length", b"0")))
    receive(protocol, EMPTY)
    assert _reusable(protocol)


@pytest.mark.parametrize("version", [b"1.0", b"1.1"])
def test_a_response_that_lasts_to_the_end_of_the_connection_is_its_last(version: bytes) -> None:
    protocol = client()
    receive(protocol, b"HTTP/" + version + b" 200 OK\r\n\r\nbody")
    assert receive(protocol, b"") == [ResponseEnded(1), CapacityChanged()]
    assert protocol.retired


def test_a_body_in_answer_to_head_is_not_taken_for_the_next_answer() -> None:
    protocol = client(HEAD)
    receive(protocol, OK + b"Content-Length: 5\r\n\r\nHTTP/")
    assert protocol.retired


@pytest.mark.parametrize("wire", [b"HTTP/1.1 408 Request Timeout\r\n\r\n", b"x"])
def test_bytes_that_nobody_asked_for_end_an_idle_connection(wire: bytes) -> None:
    protocol = client()
    receive(protocol, EMPTY)
    error = connection_failure(receive(protocol, wire))
    assert isinstance(error, ServerDisconnected)
    assert "nobody asked for" in str(error)
    assert protocol.retired


def test_bytes_before_the_first_request_end_the_connection() -> None:
    protocol = Http1Protocol("http://example.org")
    connection_failure(receive(protocol, b"220 smtp.example.org ESMTP\r\n"))
    assert protocol.retired


def test_an_end_while_idle_ends_the_connection() -> None:
    protocol = client()
    receive(protocol, EMPTY)
    error = connection_failure(receive(protocol, b""))
    assert isinstance(error, ServerDisconnected)
    assert "idle" in str(error)
    assert protocol.retired


def test_an_end_before_the_first_request_ends_the_connection() -> None:
    assert isinstance(connection_failure(receive(Http1Protocol("x"), b"")), ServerDisconnected)


def test_a_silent_end_on_a_reused_connection_is_told_as_before_the_answer() -> None:
    protocol = client()
    receive(protocol, EMPTY)
    protocol.open(GET, end=True)
    assert "without sending a response" in str(connection_failure(receive(protocol, b"")))


def test_what_the_user_left_unread_does_not_hold_up_the_next_response() -> None:
    protocol = client()
    receive(protocol, OK + b"Content-Length: %d\r\n\r\n" % READ_AHEAD + bytes(READ_AHEAD))
    protocol.open(GET, end=True)
    assert protocol.wants_data


# -- answers that come before the request has ended --------------------------------------------------------------


def test_an_early_answer_is_delivered() -> None:
    protocol = client(UPLOAD, end=False)
    events = receive(protocol, EMPTY)
    assert [type(event) for event in events] == [HeadReceived, ResponseEnded, CapacityChanged]


def test_an_upload_that_was_stopped_is_the_last_of_its_connection() -> None:
    protocol = client(UPLOAD, end=False)
    protocol.send(1, b"abc", end=False)
    receive(protocol, EMPTY)
    protocol.stop_sending(1)
    assert protocol.retired
    assert protocol.sendable(1) == 0


def test_an_upload_that_went_on_to_its_end_leaves_the_connection_in_use() -> None:
    protocol = client(UPLOAD, end=False)
    receive(protocol, EMPTY)
    protocol.send(1, b"abcdef", end=True)
    assert _reusable(protocol)


def test_an_upload_after_a_last_answer_does_not_revive_the_connection() -> None:
    protocol = client(UPLOAD, end=False)
    receive(protocol, OK + b"Connection: close\r\nContent-Length: 0\r\n\r\n")
    protocol.send(1, b"abcdef", end=True)
    assert protocol.retired


def test_to_stop_an_upload_that_has_ended_does_nothing() -> None:
    protocol = client()
    protocol.stop_sending(1)
    receive(protocol, EMPTY)
    protocol.stop_sending(1)
    assert _reusable(protocol)


def test_to_stop_another_stream_s_upload_does_nothing() -> None:
    protocol = client(UPLOAD, end=False)
    protocol.stop_sending(2)
    assert protocol.sendable(1) > 0


def test_an_end_during_an_upload_after_its_answer_does_not_fail_the_answer() -> None:
    protocol = client(UPLOAD, end=False)
    assert receive(protocol, EMPTY)[1] == ResponseEnded(1)
    assert "idle" in str(connection_failure(receive(protocol, b"")))


# -- what ends it from our side ----------------------------------------------------------------------------------


def test_to_cancel_a_request_ends_the_connection() -> None:
    protocol = client()
    protocol.cancel(1)
    assert protocol.retired
    assert receive(protocol, EMPTY) == []


def test_to_cancel_in_mid_body_ends_the_connection() -> None:
    protocol = client()
    receive(protocol, OK + b"Content-Length: 5\r\n\r\nab")
    protocol.cancel(1)
    assert protocol.retired


def test_to_cancel_an_upload_after_its_answer_ends_the_connection() -> None:
    protocol = client(UPLOAD, end=False)
    receive(protocol, EMPTY)
    protocol.cancel(1)
    assert protocol.retired
    assert protocol.sendable(1) == 0


def test_to_cancel_what_is_over_does_nothing() -> None:
    protocol = client()
    receive(protocol, EMPTY)
    protocol.cancel(1)
    assert _reusable(protocol)


def test_to_cancel_an_earlier_stream_does_nothing() -> None:
    protocol = client()
    receive(protocol, EMPTY)
    protocol.open(GET, end=True)
    protocol.cancel(1)
    assert receive(protocol, EMPTY)[1] == ResponseEnded(2)


def test_shutdown_retires_the_connection() -> None:
    protocol = client()
    protocol.shutdown()
    assert protocol.retired
    assert receive(protocol, EMPTY)[1] == ResponseEnded(1)


def test_a_connection_without_a_request_sends_nothing_and_wants_data() -> None:
    protocol = Http1Protocol("http://example.org")
    assert protocol.sendable(0) == 0
    assert protocol.wants_data
    assert protocol.outgoing() == b""


def test_a_request_that_cannot_be_written_does_not_revive_a_retired_connection() -> None:
    protocol = Http1Protocol("http://example.org")
    protocol.shutdown()
    with pytest.raises(LocalProtocolError):
        protocol.open(RequestHead(b"GET", b"http", b"a", b"/", []), end=True)
    assert protocol.retired


def test_a_request_that_cannot_be_ended_leaves_nothing_behind() -> None:
    protocol = Http1Protocol("http://example.org")
    with pytest.raises(LocalProtocolError, match="cannot be sent"):
        protocol.open(UPLOAD, end=True)
    assert protocol.outgoing() == b""
    assert _reusable(protocol)


def test_each_request_is_sent_with_fields_of_its_own() -> None:
    protocol = client()
    wire = []
    for number in (b"1", b"1", b"2"):
        receive(protocol, EMPTY)
        protocol.open(
            RequestHead(b"GET", b"http", b"a", b"/" + number, [(b"Host", b"a"), (b"X", number)]), end=True
        )
        wire.append(protocol.outgoing().split(b"\r\n")[0::2][:2])
    assert wire == [[b"GET /%b HTTP/1.1" % number, b"X: " + number] for number in (b"1", b"1", b"2")]
