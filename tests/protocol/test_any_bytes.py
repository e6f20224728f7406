"""Any bytes at all: however they are cut, and whatever is in them, the protocols answer with events in good order."""

from __future__ import annotations

from collections.abc import Callable
from itertools import pairwise
from time import perf_counter

import pytest
from hyperframe.frame import GoAwayFrame, PingFrame, RstStreamFrame, SettingsFrame, WindowUpdateFrame
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from greenh2._errors import TransportError
from greenh2._protocol.events import (
    ConnectionFailed,
    DataReceived,
    Event,
    HeadReceived,
    Protocol,
    ResponseEnded,
    StreamFailed,
)
from greenh2._protocol.frames import FrameType, frame_bytes
from greenh2._protocol.http1 import Http1Protocol
from greenh2._protocol.http2 import Http2Protocol
from tests.protocol.peers import GET, HEAD, POST, Script, data, receive

Client = Callable[[], Protocol]

# The checks around each test take time; Hypothesis repeats what it does inside of one.
thorough = settings(
    max_examples=settings().max_examples, deadline=None, suppress_health_check=[HealthCheck.too_slow]
)
quick = settings(
    max_examples=settings().max_examples // 2,
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow],
)


def _http2() -> Http2Protocol:
    client = Http2Protocol("https://example.org")
    for head in (GET, HEAD, POST, GET):
        client.open(head, end=head is not POST)
    return client


def _http1() -> Http1Protocol:
    client = Http1Protocol("http://example.org")
    client.open(GET, end=True)
    return client


def _http2_transcript() -> bytes:
    script = Script(greeted=False)
    settings_frame = SettingsFrame(0, {3: 100, 4: 70_000, 1: 200})
    frames = [
        settings_frame,
        SettingsFrame(0, flags=["ACK"]),
        WindowUpdateFrame(0, 1000),
        script.headers(1, (b":status", b"103"), (b"link", b"</a>")),
        script.ok(1, (b"content-length", b"8"), (b"x-name", b"value")),
        data(1, b"body"),
        PingFrame(0, b"12345678"),
        script.ok(3, (b"content-length", b"8"), (b"x-name", b"value"), end=True),
        data(1, b"body", padding=3),
        WindowUpdateFrame(5, 1000),
        script.headers(1, (b"checksum", b"1"), end=True),
        script.ok(5),
        data(5, b"x", end=True),
        GoAwayFrame(0, last_stream_id=7, additional_data=b"bye"),
        script.ok(7),
        RstStreamFrame(7, 8),
    ]
    return b"".join(frame.serialize() for frame in frames)


HTTP2 = _http2_transcript()
HTTP1 = [
    b"HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 8\r\nA: b\r\n\r\nbodybody",
    b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n4;a=b\r\nbody\r\n4\r\nbody\r\n0\r\nA: b\r\n\r\n",
    b"HTTP/1.0 200 OK\r\n\r\nbody",
]


def _receive(client: Protocol, portions: list[bytes]) -> list[Event]:
    """Let the client receive the portions and the end, and check what holds for any bytes."""
    started = perf_counter()
    events = [event for portion in [*portions, b""] for event in receive(client, portion)]
    client.outgoing()
    assert perf_counter() - started < 10
    failures = [event for event in events if isinstance(event, ConnectionFailed)]
    assert len(failures) <= 1
    assert not failures or events[-1] is failures[0]
    for event in events:
        if isinstance(event, StreamFailed | ConnectionFailed):
            assert isinstance(event.error, TransportError)
            assert event.error.args[0]
    for stream_id in (1, 3, 5, 7):
        _check_order([event for event in events if getattr(event, "stream_id", None) == stream_id])
    return events


def _check_order(events: list[Event]) -> None:
    """One stream: a head, data, one end; nothing after it."""
    kinds = "".join(
        {HeadReceived: "h", DataReceived: "d", ResponseEnded: "e", StreamFailed: "f"}.get(type(event), "")
        for event in events
    )
    assert kinds.rstrip("ef").lstrip("h").strip("d") == ""
    assert kinds.count("h") <= 1
    assert kinds.count("e") + kinds.count("f") <= 1
    assert "d" not in kinds or kinds.startswith("h")


def _use_up(client: Protocol) -> None:
    """Call what may be called after anything at all; nothing may be raised."""
    for stream_id in (1, 3, 5, 7):
        client.consumed(stream_id, 2**21)
        room = client.sendable(stream_id)
        client.send(stream_id, bytes(min(room, 10)), end=False)
        client.stop_sending(stream_id)
        client.cancel(stream_id)
        client.send(stream_id, b"x", end=True)
    client.shutdown()
    client.outgoing()


def _joined(events: list[Event]) -> list[Event]:
    """Put neighbouring pieces of a body together: where a body is cut is not what a cut of the bytes may not change."""
    joined: list[Event] = []
    for event in events:
        last = joined[-1] if joined else None
        if isinstance(event, DataReceived) and isinstance(last, DataReceived):
            joined[-1] = DataReceived(last.stream_id, last.data + event.data, last.cost + event.cost)
        elif not isinstance(event, ConnectionFailed):  # errors are equal only to themselves
            joined.append(event)
    return [event for event in joined if not isinstance(event, StreamFailed)]


def _cut(wire: bytes, places: list[int]) -> list[bytes]:
    edges = [0, *sorted({place % len(wire) for place in places} - {0}), len(wire)]
    return [wire[start:end] for start, end in pairwise(edges)]


CASES = [(_http2, HTTP2), *[(_http1, wire) for wire in HTTP1]]
IDS = ["HTTP/2", "HTTP/1.1", "HTTP/1.1 chunked", "HTTP/1.0"]
PLACES = st.lists(st.integers(0, 10_000), max_size=20)


@pytest.mark.parametrize(("make", "wire"), CASES, ids=IDS)
def test_byte_by_byte_means_the_same_as_at_once(make: Client, wire: bytes) -> None:
    whole = _joined(_receive(make(), [wire]))
    assert _joined(_receive(make(), [wire[index : index + 1] for index in range(len(wire))])) == whole
    assert len(whole) >= 3


@pytest.mark.parametrize(("make", "wire"), CASES, ids=IDS)
@thorough
@given(places=PLACES)
def test_any_cut_of_the_bytes_means_the_same(make: Client, wire: bytes, places: list[int]) -> None:
    assert _joined(_receive(make(), _cut(wire, places))) == _joined(_receive(make(), [wire]))


@pytest.mark.parametrize(("make", "wire"), CASES, ids=IDS)
def test_an_end_at_any_byte_is_a_failure_or_the_end(make: Client, wire: bytes) -> None:
    for length in range(len(wire)):
        _receive(make(), [wire[:length]] if length else [])


@pytest.mark.parametrize(("make", "wire"), CASES, ids=IDS)
@thorough
@given(
    changes=st.lists(st.tuples(st.integers(0, 10_000), st.integers(0, 255)), min_size=1, max_size=4),
    places=PLACES,
)
def test_changed_bytes_raise_nothing(
    make: Client, wire: bytes, changes: list[tuple[int, int]], places: list[int]
) -> None:
    changed = bytearray(wire)
    for place, value in changes:
        changed[place % len(wire)] = value
    client = make()
    _receive(client, _cut(bytes(changed), places))
    _use_up(client)


@pytest.mark.parametrize(("make", "wire"), CASES, ids=IDS)
@thorough
@given(at=st.integers(0, 10_000), removed=st.integers(0, 20), inserted=st.binary(max_size=20))
def test_lost_and_added_bytes_raise_nothing(
    make: Client, wire: bytes, at: int, removed: int, inserted: bytes
) -> None:
    at %= len(wire)
    client = make()
    _receive(client, [wire[:at] + inserted + wire[at + removed :]])
    _use_up(client)


@pytest.mark.parametrize("make", [_http2, _http1], ids=["HTTP/2", "HTTP/1.1"])
@quick
@given(noise=st.binary(max_size=300))
def test_noise_raises_nothing(make: Client, noise: bytes) -> None:
    client = make()
    _receive(client, [noise] if noise else [])
    _use_up(client)


FRAMES = st.builds(
    frame_bytes,
    st.sampled_from([*FrameType, 0x0A, 0x10]),
    st.integers(0, 255),
    st.sampled_from([0, 1, 2, 3, 5, 7, 9, 2**31 - 1]),
    st.one_of(
        st.binary(max_size=30),
        st.sampled_from(
            [b"\x88", b"\x89", b"\x48\x03103", b"\x00\x01a\x01b", bytes(4), bytes(8), b"\0\0\0\x05"]
        ),
    ),
)


@thorough
@given(frames=st.lists(FRAMES, max_size=12))
def test_frames_in_any_order_raise_nothing(frames: list[bytes]) -> None:
    client = _http2()
    _receive(client, [SettingsFrame(0).serialize(), b"".join(frames)])
    _use_up(client)


@thorough
@given(frames=st.lists(FRAMES, max_size=12), calls=st.lists(st.integers(0, 5), max_size=12))
def test_calls_between_any_frames_raise_nothing(frames: list[bytes], calls: list[int]) -> None:
    client = _http2()
    receive(client, SettingsFrame(0).serialize())
    for frame, call in zip(frames, calls, strict=False):
        receive(client, frame)
        for stream_id in (1, 5):
            [
                lambda number: client.consumed(number, 2**20),
                lambda number: client.send(number, b"", end=False),
                lambda number: client.send(number, b"", end=True),
                client.stop_sending,
                client.cancel,
                client.sendable,
            ][call](stream_id)
    _receive(client, [])
    _use_up(client)


@thorough
@given(block=st.binary(min_size=1, max_size=100))
def test_any_header_block_is_fields_or_an_error(block: bytes) -> None:
    client = _http2()
    wire = SettingsFrame(0).serialize() + frame_bytes(FrameType.HEADERS, 4, 1, block)
    _receive(client, [wire, frame_bytes(FrameType.HEADERS, 5, 1, block)])
