"""Http1Protocol: one request and its response."""

from __future__ import annotations

import pytest

from greenh2._errors import LocalProtocolError, RemoteProtocolError, ServerDisconnected
from greenh2._protocol.events import (
    CapacityChanged,
    ConnectionFailed,
    DataReceived,
    Event,
    HeadReceived,
    RequestHead,
    ResponseEnded,
    ResponseHead,
)
from greenh2._protocol.http1 import MAX_INTERIM, READ_AHEAD, Http1Protocol
from greenh2._protocol.plain import MAX_FIELD_LINES, MAX_HEAD
from tests.protocol.peers import GET, HEAD, connection_failure, receive

HOST = (b"Host", b"example.org")
OK = b"HTTP/1.1 200 OK\r\n"


def client(head: RequestHead = GET, *, end: bool = True) -> Http1Protocol:
    """Return a client that has sent a request."""
    protocol = Http1Protocol("http://example.org")
    protocol.open(head, end=end)
    protocol.outgoing()
    return protocol


def post(*fields: tuple[bytes, bytes]) -> RequestHead:
    return RequestHead(b"POST", b"http", b"example.org", b"/", [HOST, *fields], expects_body=True)


def body(events: list[Event]) -> bytes:
    return b"".join(event.data for event in events if isinstance(event, DataReceived))


# -- requests ----------------------------------------------------------------------------------------------------


def test_a_request_is_written_as_it_was_given() -> None:
    protocol = Http1Protocol("http://example.org")
    head = RequestHead(b"GET", b"http", b"example.org", b"/a?b", [HOST, (b"X-Mixed", b"Value")])
    assert protocol.open(head, end=True) == 1
    assert protocol.outgoing() == b"GET /a?b HTTP/1.1\r\nHost: example.org\r\nX-Mixed: Value\r\n\r\n"


def test_what_is_to_be_written_is_told_once() -> None:
    protocol = Http1Protocol("http://example.org")
    protocol.open(GET, end=True)
    assert protocol.outgoing()
    assert not protocol.outgoing()


def test_a_body_of_known_length_is_written_as_it_is() -> None:
    protocol = client(post((b"Content-Length", b"6")), end=False)
    protocol.send(1, b"abc", end=False)
    protocol.send(1, b"def", end=True)
    assert protocol.outgoing() == b"abcdef"


def test_a_body_of_unknown_length_is_written_in_chunks() -> None:
    protocol = client(post((b"Transfer-Encoding", b"chunked")), end=False)
    protocol.send(1, b"abc", end=False)
    protocol.send(1, b"", end=False)
    protocol.send(1, b"", end=True)
    assert protocol.outgoing() == b"3\r\nabc\r\n0\r\n\r\n"


@pytest.mark.parametrize("piece", [b"abcd", b"ab"])
def test_a_body_that_does_not_fit_its_length_is_an_error_of_ours(piece: bytes) -> None:
    protocol = client(post((b"Content-Length", b"3")), end=False)
    with pytest.raises(LocalProtocolError, match="Content-Length"):
        protocol.send(1, piece, end=True)
    assert protocol.retired


def test_a_request_that_cannot_be_written_leaves_no_trace() -> None:
    protocol = Http1Protocol("http://example.org")
    with pytest.raises(LocalProtocolError, match="cannot be sent"):
        protocol.open(RequestHead(b"GET", b"http", b"a", b"/", []), end=True)
    assert not protocol.retired
    assert protocol.open(GET, end=True) == 1


def test_a_request_while_another_is_open_retires_the_connection() -> None:
    protocol = client()
    with pytest.raises(LocalProtocolError):
        protocol.open(GET, end=True)
    assert protocol.retired
    assert protocol.outgoing() == b""


def test_a_body_may_be_sent_until_it_has_ended() -> None:
    protocol = client(post((b"Content-Length", b"3")), end=False)
    assert protocol.sendable(1) > 0
    assert protocol.sendable(2) == 0
    protocol.send(1, b"abc", end=True)
    assert protocol.sendable(1) == 0


def test_nothing_is_sent_on_a_stream_that_is_over() -> None:
    protocol = client()
    protocol.send(1, b"late", end=True)
    assert protocol.outgoing() == b""


def test_one_stream_is_allowed_at_a_time() -> None:
    protocol = Http1Protocol("http://example.org")
    assert (protocol.streams_allowed, protocol.greeting, protocol.multiplexed) == (1, False, False)


# -- responses ---------------------------------------------------------------------------------------------------


def test_a_response_with_a_length() -> None:
    assert receive(client(), OK + b"Content-Length: 4\r\nX-Mixed: Value\r\n\r\nbody") == [
        HeadReceived(
            1,
            ResponseHead(200, [(b"Content-Length", b"4"), (b"X-Mixed", b"Value")], b"OK", b"HTTP/1.1"),
        ),
        DataReceived(1, b"body", 4),
        ResponseEnded(1),
        CapacityChanged(),
    ]


def test_a_response_in_chunks_with_trailers() -> None:
    events = receive(
        client(),
        OK + b"Transfer-Encoding: chunked\r\n\r\n2;ext=1\r\nbo\r\n2\r\ndy\r\n0\r\nChecksum: 1\r\n\r\n",
    )
    assert body(events) == b"body"
    assert ResponseEnded(1, [(b"Checksum", b"1")]) in events


def test_a_response_that_lasts_to_the_end_of_the_connection() -> None:
    protocol = client()
    assert body(receive(protocol, OK + b"\r\nbo")) == b"bo"
    assert body(receive(protocol, b"dy")) == b"dy"
    assert receive(protocol, b"")[0] == ResponseEnded(1)


@pytest.mark.parametrize("status", [b"204 No Content", b"304 Not Modified"])
@pytest.mark.parametrize("field", [b"", b"Content-Length: 5\r\n", b"Transfer-Encoding: chunked\r\n"])
def test_some_responses_have_no_body_whatever_they_declare(status: bytes, field: bytes) -> None:
    events = receive(client(), b"HTTP/1.1 " + status + b"\r\n" + field + b"\r\n")
    assert events[1:] == [ResponseEnded(1), CapacityChanged()]


@pytest.mark.parametrize("field", [b"", b"Content-Length: 5\r\n", b"Transfer-Encoding: chunked\r\n"])
def test_a_response_to_head_has_no_body_whatever_it_declares(field: bytes) -> None:
    events = client(HEAD).receive(OK + field + b"\r\n")
    assert events[1:] == [ResponseEnded(1), CapacityChanged()]


def test_interim_responses_are_skipped() -> None:
    events = receive(
        client(),
        b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n"
        + OK
        + b"Content-Length: 0\r\n\r\n",
    )
    assert [type(event) for event in events] == [HeadReceived, ResponseEnded, CapacityChanged]


def test_as_many_interim_responses_as_allowed_are_skipped() -> None:
    assert receive(client(), b"HTTP/1.1 103 x\r\n\r\n" * MAX_INTERIM) == []


def test_more_interim_responses_end_the_connection() -> None:
    events = receive(client(), b"HTTP/1.1 103 x\r\n\r\n" * (MAX_INTERIM + 1))
    assert "interim" in str(connection_failure(events))


def test_interim_responses_are_counted_for_each_request() -> None:
    protocol = client()
    interims = b"HTTP/1.1 103 x\r\n\r\n" * MAX_INTERIM
    receive(protocol, interims + OK + b"Content-Length: 0\r\n\r\n")
    protocol.open(GET, end=True)
    assert receive(protocol, interims) == []


@pytest.mark.parametrize("fields", [[HOST], [HOST, (b"Upgrade", b"websocket"), (b"Connection", b"upgrade")]])
def test_a_switch_of_protocols_ends_the_connection(fields: list[tuple[bytes, bytes]]) -> None:
    protocol = client(RequestHead(b"GET", b"http", b"a", b"/", fields))
    events = receive(protocol, b"HTTP/1.1 101 Switching\r\nUpgrade: websocket\r\n\r\n")
    assert isinstance(connection_failure(events), RemoteProtocolError)


def test_a_status_line_without_a_reason_is_taken() -> None:
    (event, *_) = receive(client(), b"HTTP/1.1 200\r\nContent-Length: 0\r\n\r\n")
    assert isinstance(event, HeadReceived)
    assert (event.head.status, event.head.reason) == (200, b"")


def test_the_version_is_told() -> None:
    (event, *_) = receive(client(), b"HTTP/1.0 200 OK\r\n\r\n")
    assert isinstance(event, HeadReceived)
    assert event.head.http_version == b"HTTP/1.0"


@pytest.mark.parametrize(
    "wire",
    [
        b"HTTP/2.0 200 OK\r\n\r\n",
        b"HTTP/0.9 200 OK\r\n\r\n",
        b"ICY 200 OK\r\n\r\n",
        b"HTTP/1.1 099 x\r\n\r\n",
        b"HTTP/1.1 2000 x\r\n\r\n",
        b"\r\n\r\n",
        b"<html>hello</html>\r\n\r\n",
        OK + b"no colon\r\n\r\n",
        OK + b"a : b\r\n\r\n",
        OK + b": b\r\n\r\n",
        OK + b"a: b\0\r\n\r\n",
        OK + b"a: b\rc\r\n\r\n",
        OK + b" folded\r\n\r\n",
        OK + b"Content-Length: 3\r\nContent-Length: 4\r\n\r\n",
        OK + b"Content-Length: +3\r\n\r\n",
        OK + b"Content-Length: 0x3\r\n\r\n",
        OK + b"Content-Length: 3,4\r\n\r\n",
        OK + b"Content-Length: 111111111111111111111\r\n\r\n",
        OK + b"Transfer-Encoding: gzip\r\n\r\n",
        OK + b"Transfer-Encoding: identity\r\n\r\n",
        OK + b"Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n\r\n",
        OK + b"Transfer-Encoding: chunked\r\n\r\nxyz\r\n",
        OK + b"Transfer-Encoding: chunked\r\n\r\n-1\r\n",
        OK + b"Transfer-Encoding: chunked\r\n\r\n2\r\nabXX",
        OK + b"Transfer-Encoding: chunked\r\n\r\n" + b"f" * 21 + b"\r\n",
        OK + b"Transfer-Encoding: chunked\r\n\r\n0\r\nbad trailer\r\n\r\n",
    ],
)
def test_what_is_not_http_1_ends_the_connection(wire: bytes) -> None:
    protocol = client()
    error = connection_failure(receive(protocol, wire))
    assert type(error) is RemoteProtocolError
    assert error.__cause__ is not None
    assert protocol.retired


def test_an_identical_list_of_lengths_is_one_length() -> None:
    assert body(receive(client(), OK + b"Content-Length: 3, 3\r\n\r\nabc")) == b"abc"


def test_a_folded_line_is_unfolded() -> None:
    (event, *_) = receive(client(), OK + b"Content-Length: 0\r\na: b\r\n  c\r\n\r\n")
    assert isinstance(event, HeadReceived)
    assert (b"a", b"b c") in event.head.fields


def test_lines_may_end_in_lf_alone() -> None:
    events = receive(client(), b"HTTP/1.1 200 OK\nContent-Length: 3\n\nabc")
    assert body(events) == b"abc"


def test_as_many_field_lines_as_allowed_are_taken() -> None:
    events = receive(client(), OK + b"a: b\r\n" * MAX_FIELD_LINES + b"\r\n")
    assert isinstance(events[0], HeadReceived)


def test_more_field_lines_than_allowed_are_refused() -> None:
    events = receive(client(), OK + b"a: b\r\n" * (MAX_FIELD_LINES + 1) + b"\r\n")
    assert "field lines" in str(connection_failure(events))


def test_more_trailers_than_allowed_are_refused() -> None:
    wire = OK + b"Transfer-Encoding: chunked\r\n\r\n0\r\n" + b"a: b\r\n" * (MAX_FIELD_LINES + 1) + b"\r\n"
    events = receive(client(), wire)
    assert [type(event) for event in events] == [HeadReceived, ConnectionFailed]


def test_a_head_of_the_allowed_size_is_taken() -> None:
    events = receive(client(), OK + b"a: " + b"x" * (MAX_HEAD - 1) + b"\r\n\r\n")
    assert isinstance(events[0], HeadReceived)


def test_a_larger_head_in_one_piece_is_refused() -> None:
    events = receive(client(), OK + b"a: " + b"x" * MAX_HEAD + b"\r\n\r\n")
    assert "bytes" in str(connection_failure(events))


def test_a_head_that_never_ends_is_refused() -> None:
    protocol = client()
    events = receive(protocol, OK + b"a: ")
    while not events:
        events = receive(protocol, b"x" * 10_000)
    assert isinstance(connection_failure(events), RemoteProtocolError)


# -- the end, and reading ahead ----------------------------------------------------------------------------------


def test_an_end_without_an_answer_is_a_disconnection() -> None:
    error = connection_failure(receive(client(), b""))
    assert isinstance(error, ServerDisconnected)
    assert "without sending a response" in str(error)


@pytest.mark.parametrize(
    "wire",
    [
        b"HTTP/1.1 200 O",
        OK + b"Content-Le",
        OK + b"Content-Length: 5\r\n\r\n",
        OK + b"Content-Length: 5\r\n\r\nabcd",
        OK + b"Transfer-Encoding: chunked\r\n\r\n5\r\nab",
        OK + b"Transfer-Encoding: chunked\r\n\r\n2\r\nab\r\n",
        OK + b"Transfer-Encoding: chunked\r\n\r\n0\r\n",
        b"HTTP/1.1 100 Continue\r\n\r\n",
    ],
)
def test_an_end_in_mid_response_is_a_disconnection(wire: bytes) -> None:
    protocol = client()
    receive(protocol, wire)
    error = connection_failure(receive(protocol, b""))
    assert isinstance(error, ServerDisconnected)
    assert "before the response ended" in str(error)


def test_after_a_failure_nothing_is_received_or_sent() -> None:
    protocol = client(post((b"Content-Length", b"3")), end=False)
    receive(protocol, b"nonsense\r\n\r\n")
    assert receive(protocol, OK) == []
    assert receive(protocol, b"") == []
    assert protocol.sendable(1) == 0


def test_reading_pauses_while_the_user_is_behind() -> None:
    protocol = client()
    receive(protocol, OK + b"\r\n" + bytes(READ_AHEAD - 1))
    assert protocol.wants_data
    receive(protocol, b"x")
    assert not protocol.wants_data
    protocol.consumed(1, 1)
    assert protocol.wants_data


def test_what_another_stream_consumed_does_not_count() -> None:
    protocol = client()
    receive(protocol, OK + b"\r\n" + bytes(READ_AHEAD))
    protocol.consumed(7, READ_AHEAD)
    assert not protocol.wants_data


@pytest.mark.parametrize("extension", [b"", b";signature=" + b"f" * 40])
def test_small_chunks_that_say_little_beside_are_no_flood(extension: bytes) -> None:
    protocol = client()
    receive(protocol, OK + b"Transfer-Encoding: chunked\r\n\r\n")
    events = receive(protocol, (b"1" + extension + b"\r\n.\r\n") * 20_000 + b"0\r\n\r\n")
    assert body(events) == b"." * 20_000
    assert isinstance(events[-2], ResponseEnded)
