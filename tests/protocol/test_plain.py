"""The short way of HTTP/1.1, which does without h11, says the same as the long one, whatever a server sends."""

from __future__ import annotations

import tracemalloc
from collections.abc import Iterator
from itertools import product

import h11
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from greenh2._errors import ServerDisconnected
from greenh2._protocol.events import ConnectionFailed, DataReceived, Event, Fields, RequestHead
from greenh2._protocol.http1 import READ_AHEAD, Http1Protocol
from greenh2._protocol.plain import MAX_FIELD_LINES, MAX_HEAD, PlainRequests
from tests.protocol.peers import receive

HOST = (b"Host", b"example.org")
thorough = settings(max_examples=settings().max_examples * 3, deadline=None)


class Never(PlainRequests):
    """Takes no request for a plain one."""

    def write(self, head: RequestHead) -> bytes | None:
        return None


class LongWay(Http1Protocol):
    """HTTP/1.1 that asks h11 every time."""

    def __init__(self, origin: str) -> None:
        super().__init__(origin)
        self._requests = Never()


def _told(protocol: Http1Protocol, method: bytes, portions: list[bytes]) -> list[object]:
    """Return all that comes of a request: its bytes, events, and what the connection is good for afterwards."""
    protocol.open(RequestHead(method, b"http", b"example.org", b"/", [HOST]), end=True)
    told: list[object] = [protocol.outgoing()]
    for portion in portions:
        for event in receive(protocol, portion):
            _note(event, told)
    return [*told, protocol.retired, protocol.wants_data]


def _note(event: Event, told: list[object]) -> None:
    if isinstance(event, ConnectionFailed):  # errors are equal only to themselves
        error = event.error
        told.append((type(error), str(error), isinstance(error, ServerDisconnected) and error.partial))
    elif isinstance(event, DataReceived) and isinstance(before := told[-1], DataReceived):
        told[-1] = DataReceived(event.stream_id, before.data + event.data, before.cost + event.cost)
    else:
        told.append(event)


STARTS = [
    *(
        b"HTTP/1.1 404 Not Found",
        b"HTTP/1.1 200",
        b"HTTP/1.1 200 ",
        b"HTTP/1.1 599 a\tb",
        b"HTTP/1.1 206 \t ",
    ),
    *(b"HTTP/1.1 204 No", b"HTTP/1.1 304 No", b"HTTP/1.1 100 C", b"HTTP/1.1 101 S", b"HTTP/1.1 199 x"),
    *(b"HTTP/1.1 600 x", b"HTTP/1.0 200 OK", b"HTTP/2.0 200 OK", b"http/1.1 200 OK", b"HTTP/1.1  200 OK"),
    *(b"HTTP/1.1\t200 OK", b"HTTP/1.1 20 OK", b"HTTP/1.1 2000 OK", b"HTTP/1.1 +20 OK", b"HTTP/1.1 2\xb20 OK"),
    *(
        b"HTTP/1.1 200OK",
        b"HTTP/1.1 200 \xff",
        b"HTTP/1.1 200 \x00",
        b"HTTP/1.1 200 \x0b",
        b"HTTP/1.1 200 \x7f",
    ),
    *(b"\r\nHTTP/1.1 200 OK", b" HTTP/1.1 200 OK", b""),
]
ENDS = [b"\n", b"\r", b"\r\r\n", b"\r\n ", b"\r\n\t", b"\r\n \r\n", b"\n\r\n", b"\x0b\r\n", b""]
MARKS = [b":", b":\t ", b" :", b"\t:", b"", b"::", b":\x0b", b":\r\n ", b": \n"]
NAMES = [
    *(
        b"Content-Length",
        b"content-length",
        b"Transfer-Encoding",
        b"Connection",
        b"Proxy-Connection",
        b"Keep-Alive",
    ),
    *(
        b"Upgrade",
        b"Trailer",
        b"TE",
        b"Expect",
        b"X-A",
        b"Content_Length",
        b" Content-Length",
        b"Content-Length\x00",
    ),
    *(b"", b"X\xe4", b"X\x7f", b"X\n"),
]
VALUES = [
    *(
        b"5",
        b"05",
        b"0",
        b"+5",
        b"-5",
        b"5_0",
        b"\xb2",
        b"5, 5",
        b"5,6",
        b"5 ",
        b"0x5",
        b"5\x0b",
        b"5\x00",
        b"\xa05",
    ),
    *(b"", b"9" * 18, b"9" * 19, b"9" * 21, b"0" * 30 + b"5"),
    *(
        b"chunked",
        b"identity",
        b"gzip, chunked",
        b"close",
        b"keep-alive",
        b"Keep-Alive, close",
        b"keep-alive\x0c",
    ),
    *(b"upgrade", b"100-continue", b"trailers", b"a b\tc", b"\xff", b"\x7f", b"\x01"),
]
BODIES = [b"hell", b"hello", b"hello\n", b"helloHTTP/1.1 200 OK\r\n\r\n", b"5\r\nhello\r\n0\r\n\r\n"]
START, LENGTH, END = b"HTTP/1.1 200 OK", b"Content-Length: 5\r\n", b"\r\n"


def _answers() -> Iterator[bytes]:
    """Give answers that are plain but for one oddity: it is found only where all else is plain."""
    for start, body in product(STARTS, BODIES):
        yield b"%b\r\n%b\r\n%b" % (start, LENGTH, body)
    for end, body in product(ENDS, BODIES):
        yield b"%b%b%b\r\n%b" % (START, end, LENGTH, body)
        yield b"%b\r\nX-A: b%b%b\r\n%b" % (START, end, LENGTH, body)
        yield b"%b\r\n%bX-A: b%b\r\n%b" % (START, LENGTH, end, body)
        yield b"%b\r\n%b%b%b" % (START, LENGTH, end, body)
    for mark, name, body in product(MARKS, (b"Content-Length", b"X-A"), BODIES):
        yield b"%b\r\n%b%b5\r\n%b\r\n%b" % (START, name, mark, LENGTH, body)
        yield b"%b\r\n%b%b5\r\n\r\n%b" % (START, name, mark, body)
    for name, value, body in product(NAMES, VALUES, (BODIES[1], BODIES[-1])):
        yield b"%b\r\n%b: %b\r\n\r\n%b" % (START, name, value, body)
        yield b"%b\r\n%b%b: %b\r\n\r\n%b" % (START, LENGTH, name, value, body)
    yield b"%b\r\n%b%b\r\nhello" % (START, LENGTH, b"X-A: b\r\n" * MAX_FIELD_LINES)
    yield b"%b\r\n%bX-A: %b\r\n\r\nhello" % (START, LENGTH, b"x" * MAX_HEAD)
    yield b"%b\r\nContent-Length: %d\r\n\r\n%b" % (START, READ_AHEAD + 1, b"x" * READ_AHEAD)


def _same(answer: bytes, method: bytes, portions: list[bytes]) -> bool:
    short, long = Http1Protocol("http://example.org"), LongWay("http://example.org")
    assert _told(short, method, portions) == _told(long, method, portions), (answer, method, portions)
    return short._plain is not None


@pytest.mark.parametrize("method", [b"GET", b"HEAD"])
def test_an_answer_means_the_same_by_either_way(method: bytes) -> None:
    short = [_same(answer, method, [answer]) for answer in _answers()]
    assert any(short) == (method == b"GET")


@thorough
@given(answer=st.sampled_from(list(_answers())), cut=st.integers(1, 80), ends=st.booleans())
def test_an_answer_that_comes_in_two_portions_means_the_same_by_either_way(
    answer: bytes, cut: int, ends: bool
) -> None:
    portions = [*filter(None, (answer[:cut], answer[cut:])), *([b""] if ends else [])]
    _same(answer, b"GET", portions)


def _mostly(plain: list[bytes], *others: bytes) -> st.SearchStrategy[bytes]:
    """Draw what is plain nine times in ten."""
    return st.integers(0, 9).flatmap(lambda number: st.sampled_from(plain if number else list(others)))


FIELDS = st.lists(
    st.tuples(
        _mostly(
            [b"X-A", b"Accept", b"X-B"], b"Host", b"Connection", b"Content-Length", b"TE", b"X A", b"X\n"
        ),
        _mostly(
            [b"", b"a", b"a\tb", b"\xff"], b"keep-alive", b"close", b"a\r\nB: c", b"a\nb", b"\x00", b"\x7f"
        ),
    ),
    max_size=3,
)


def test_more_lines_than_a_head_may_have_take_little_memory_though_they_come_all_at_once() -> None:
    client = Http1Protocol("http://a.example")
    client.open(RequestHead(b"GET", b"http", b"a.example", b"/", [HOST], False), end=True)
    lines = START + b"\r\n" + b"X-Y: z\r\n" * 50_000
    tracemalloc.start()
    try:
        before = tracemalloc.get_traced_memory()[0]
        (event,) = receive(client, lines)
        assert isinstance(event, ConnectionFailed)
        assert tracemalloc.get_traced_memory()[1] - before < 1_500_000
    finally:
        tracemalloc.stop()


@thorough
@given(
    fields=FIELDS,
    again=FIELDS,
    method=_mostly([b"GET"], b"DELETE", b"POST", b"G T"),
    target=st.binary(max_size=3),
)
def test_a_request_that_is_plain_is_what_h11_would_have_sent(
    fields: Fields, again: Fields, method: bytes, target: bytes
) -> None:
    requests = PlainRequests()
    for some in (fields, again, fields):
        head = RequestHead(method, b"http", b"example.org", b"/" + target, [HOST, *some])
        plain = requests.write(head)
        if plain is not None:
            machine = h11.Connection(h11.CLIENT)
            request = h11.Request(method=method, target=head.target, headers=head.fields)
            assert plain == machine.send(request)
            assert machine.send(h11.EndOfMessage()) == b""
