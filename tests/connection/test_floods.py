"""Servers that send without end what costs us and not them, and honest ones that only look like that.

The flood comes over a real socket, from a thread of its own; the test looks at what the user gets, what the server is
told, and what was held in memory meanwhile (`tracemalloc`).
"""

import gzip
import tracemalloc
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress

import gevent
import pytest
from h2.errors import ErrorCodes
from hpack import Encoder
from hyperframe.frame import (
    ContinuationFrame,
    DataFrame,
    Frame,
    GoAwayFrame,
    HeadersFrame,
    PingFrame,
    PriorityFrame,
    RstStreamFrame,
    SettingsFrame,
    WindowUpdateFrame,
)

import greenh2
from greenh2._connection import flow
from greenh2._connection.connection import HIGH_WATER, Connection
from greenh2._models.body import BytesBody
from greenh2._protocol import machine
from tests.connection.conftest import HEAD, Converse, Ends, Talk, deadline, send_gzip
from tests.connection.test_upload import BOTH
from tests.support.rawserver import H2Peer, data

MOST_GROWTH = 5 * 1024 * 1024
PING = PingFrame(0, b"12345678").serialize()


@contextmanager
def little_memory() -> Iterator[None]:
    """Fail if what happens within ever holds 5 MB more than before.  Make what the server sends outside."""
    tracemalloc.start()
    try:
        before = tracemalloc.get_traced_memory()[0]
        yield
        assert tracemalloc.get_traced_memory()[1] - before < MOST_GROWTH
    finally:
        tracemalloc.stop()


def pour(peer: H2Peer, flood: bytes) -> None:
    """Send all of it, or as much as the client lets us."""
    with suppress(ConnectionError):
        peer.send_bytes(flood)


def told(peer: H2Peer) -> set[int]:
    """Return the codes of the GOAWAYs that the client sends before it ends."""
    codes = set()
    with suppress(AssertionError, ConnectionError):
        for frame in peer.frames():
            if isinstance(frame, GoAwayFrame):
                codes.add(frame.error_code)
    return codes


# -- HTTP/2: frames without use ------------------------------------------------------------------------------------

USELESS: dict[str, Callable[[int], Frame]] = {
    "PING": lambda stream: PingFrame(0, b"12345678"),
    "PING, acknowledged": lambda stream: PingFrame(0, b"12345678", flags=["ACK"]),
    "SETTINGS": lambda stream: SettingsFrame(0, {4: 65535}),
    "empty DATA": lambda stream: data(stream, b""),
    "padding": lambda stream: DataFrame(stream, b"", pad_length=3, flags=["PADDED"]),
    "WINDOW_UPDATE": lambda stream: WindowUpdateFrame(0, 1),
    "WINDOW_UPDATE of the stream": lambda stream: WindowUpdateFrame(stream, 1),
    "PRIORITY": lambda stream: PriorityFrame(stream, stream_weight=1),
    "GOAWAY": lambda stream: GoAwayFrame(0, last_stream_id=2**31 - 1, additional_data=b"soon"),
    "RST_STREAM, late": lambda stream: RstStreamFrame(stream - 2),
    "DATA, late": lambda stream: data(stream - 2, b"x"),
    "HEADERS, late": lambda stream: HeadersFrame(stream - 2, b"\x88", flags=["END_HEADERS"]),
}


def in_mid_answer(it: Talk) -> tuple["gevent.Greenlet[..., bytes]", int]:
    """Begin two answers, of which the user gives up the first and reads the other; return its reader and its stream."""
    for read in False, True:
        job = it.stream()
        stream_id = it.peer.expect_request().stream_id
        it.peer.send(it.peer.head(stream_id))
        response = job.get()
        if not read:
            response.close()
    return gevent.spawn(response.read), stream_id


@pytest.mark.parametrize("name", USELESS)
def test_a_flood_of_frames_without_use_ends_the_connection(
    talk: Converse, name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(machine, "MAX_CHATTER", 1000)
    it = talk(timeout=5.0)
    reader, stream_id = in_mid_answer(it)
    pour(it.peer, USELESS[name](stream_id).serialize() * 2000)
    with pytest.raises(greenh2.RemoteProtocolError, match="frames of no use"):
        reader.get()
    assert told(it.peer) == {ErrorCodes.ENHANCE_YOUR_CALM}


def test_such_a_flood_takes_little_memory(talk: Converse) -> None:
    it = talk(timeout=5.0)
    reader, _ = in_mid_answer(it)
    flood = PING * (2 * machine.MAX_CHATTER)
    with little_memory():
        pour(it.peer, flood)
        with pytest.raises(greenh2.RemoteProtocolError, match="frames of no use"):
            reader.get()


def test_frames_without_use_are_no_flood_if_they_take_their_time(
    talk: Converse, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(machine, "MAX_CHATTER", 10)
    monkeypatch.setattr(machine, "CHATTER_SPAN", 0.0)  # so that any time is time enough
    it = talk(timeout=5.0)
    reader, stream_id = in_mid_answer(it)
    for _ in range(100):
        it.peer.send_bytes(PING)
    it.peer.send(data(stream_id, b"still here", end=True))
    assert reader.get() == b"still here"


# -- HTTP/2: answers to a peer that does not listen, and single bytes -----------------------------------------------


def test_answers_do_not_pile_up_for_a_peer_that_does_not_read(
    talk: Converse, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(flow, "MOST_UNSENT", HIGH_WATER + 128 * 1024)
    it = talk(timeout=5.0)
    reader, stream_id = in_mid_answer(it)
    it.peer.send(SettingsFrame(0, {4: 2**24}), WindowUpdateFrame(0, 2**24))
    upload = it.request("POST", content=bytes(2**24))  # fills the kernel's buffers
    useful = PING * 5000 + data(stream_id, b"x").serialize()
    for _ in range(100):
        pour(it.peer, useful)
        if reader.ready():
            break
    with pytest.raises(greenh2.RemoteProtocolError, match="does not read"):
        reader.get()
    with pytest.raises(greenh2.RemoteProtocolError, match="does not read"):
        upload.get()


def test_answers_to_a_slow_reader_do_not_add_up_over_a_long_upload(
    h2: Ends, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(flow, "MOST_UNSENT", 30_000)
    connection, peer = h2
    peer.send(SettingsFrame(0, {4: 2**30}), WindowUpdateFrame(0, 2**30))
    exchange = connection.open()
    upload = gevent.spawn(exchange.send, HEAD, BytesBody(bytes(2**25)), 2**25, deadline())
    stream_id = peer.expect_request().stream_id
    frames, arrived = peer.frames(), 0
    for part in (1, 2, 3):
        with gevent.Timeout(5.0):
            while not connection.channel.unsent:
                gevent.sleep(0.001)
        peer.send_bytes(PING * 1000)
        answers = 0
        while arrived < 2**23 * part or answers < 1000:
            frame = next(frames)
            arrived += len(frame.data) if isinstance(frame, DataFrame) else 0
            answers += isinstance(frame, PingFrame)
    while arrived < 2**25:
        arrived += len(peer.expect(DataFrame).data)
    peer.answer(stream_id)
    assert upload.get().status == 200
    connection.close("the test is over")


def test_small_pieces_that_nobody_reads_take_little_memory(talk: Converse) -> None:
    it = talk(timeout=5.0)
    job = it.stream()
    stream_id = it.peer.expect_request().stream_id
    it.peer.send(it.peer.head(stream_id))
    response = job.get()
    drip = data(stream_id, b"ab").serialize() * 10_000 + PING
    tracemalloc.start()
    try:
        before = tracemalloc.get_traced_memory()[0]
        pour(it.peer, drip)
        it.peer.expect(PingFrame, flags={"ACK"})
        assert tracemalloc.get_traced_memory()[0] - before < 500_000
    finally:
        tracemalloc.stop()
    assert next(response.iter_raw()) == b"ab" * 10_000
    response.close()


def count_turns(connection: Connection, monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """Return a list that grows with each turn of the loop in which the connection takes more of what it has read."""
    turns: list[int] = []
    go_on = connection._go_on

    def count() -> None:
        turns.append(len(turns))
        go_on()

    monkeypatch.setattr(connection, "_go_on", count)
    return turns


def test_many_small_frames_are_taken_in_several_turns_of_the_loop(
    h2: Ends, monkeypatch: pytest.MonkeyPatch
) -> None:
    connection, peer = h2
    turns = count_turns(connection, monkeypatch)
    exchange = connection.open()
    connection.begin(exchange, HEAD, end=True)
    peer.send_at_once(PING * 8000)  # they are all there when the client first looks
    while connection.protocol._machine._chatter < 8000:  # type: ignore[attr-defined]
        gevent.sleep(0.001)
    assert len(turns) > 2
    exchange.close()
    connection.close("the test is over")


@pytest.mark.parametrize("name", ["WINDOW_UPDATE", "SETTINGS", "GOAWAY"])
def test_what_changes_for_all_streams_many_times_in_a_turn_is_looked_at_once(
    h2: Ends, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    connection, peer = h2
    looks: list[str] = []

    def counted(name: str, look: Callable[..., None]) -> None:
        def count(*stream: int) -> None:
            looks.append(name)
            look(*stream)

        monkeypatch.setattr(connection, name, count)

    counted("_ring_uploads", connection._ring_uploads)
    counted("_settle", connection._settle)
    exchange = connection.open()
    connection.begin(exchange, HEAD, end=True)
    flood = USELESS[name](1).serialize() * 2000
    peer.send_at_once(flood)
    while connection.protocol._machine._chatter < 2000:  # type: ignore[attr-defined]
        gevent.sleep(0.001)
    # Each turn of the loop may take but a few frames where the machine is slow.
    assert 0 < len(looks) < 1000
    exchange.close()
    connection.close("the test is over")


def test_many_small_chunks_are_taken_in_several_turns_of_the_loop(
    http1: Ends, monkeypatch: pytest.MonkeyPatch
) -> None:
    connection, peer = http1
    turns = count_turns(connection, monkeypatch)
    exchange = connection.open()
    connection.begin(exchange, HEAD, end=True)
    head = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"
    peer.send_at_once(head + b"1\r\nx\r\n" * 20_000)
    while connection.protocol._unread < 20_000:  # type: ignore[attr-defined]
        gevent.sleep(0.001)
    assert len(turns) > 2
    assert exchange.read(deadline()) == b"x" * 20_000
    exchange.close()


# -- HTTP/2: header blocks -------------------------------------------------------------------------------------------


def whole(stream_id: int, block: bytes) -> bytes:
    pieces = [block[start : start + 16384] for start in range(0, len(block), 16384)]
    frames: list[Frame] = [HeadersFrame(stream_id, pieces[0])]
    frames += [ContinuationFrame(stream_id, piece) for piece in pieces[1:]]
    frames[-1].flags.add("END_HEADERS")
    return b"".join(frame.serialize() for frame in frames)


def endless(stream_id: int) -> bytes:
    return (
        HeadersFrame(stream_id, b"\x88").serialize() + ContinuationFrame(stream_id, b"").serialize() * 40_000
    )


def references(stream_id: int) -> bytes:
    """A block of 34 kB that says 120 MB: one field of 4 kB, and 30 000 times the same."""
    encoder = Encoder()
    block = encoder.encode([(":status", "200"), ("a", "x" * 4000)])
    return whole(stream_id, block + b"\xbe" * 30_000)


def interim(stream_id: int) -> bytes:
    return (
        HeadersFrame(stream_id, Encoder().encode([(":status", "103")]), flags=["END_HEADERS"]).serialize()
        * 1000
    )


def long_list(stream_id: int) -> bytes:
    return whole(
        stream_id, Encoder().encode([(":status", "200"), *[(f"name-{i}", "y" * 50) for i in range(800)]])
    )


@pytest.mark.parametrize(
    ("words", "message", "codes"),
    [
        (endless, "a header block takes more than", {ErrorCodes.ENHANCE_YOUR_CALM}),
        (references, "unpacks", {ErrorCodes.ENHANCE_YOUR_CALM}),
        (interim, "interim", set()),
        (long_list, "header fields take more than", set()),
    ],
)
def test_header_fields_without_bound_are_refused(
    talk: Converse, words: Callable[[int], bytes], message: str, codes: set[int]
) -> None:
    it = talk(timeout=5.0)
    job = it.request()
    flood = words(it.peer.expect_request().stream_id)
    with little_memory():
        pour(it.peer, flood)
        with pytest.raises(greenh2.RemoteProtocolError, match=message):
            job.get()
    it.client.close()
    assert told(it.peer) - {ErrorCodes.NO_ERROR} == codes


# -- HTTP/1.1 --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("beginning", "again"),
    [
        (b"", b"HTTP/1.1 103 Early Hints\r\n\r\n"),
        (b"HTTP/1.1 200 OK\r\n", b"X-Y: z\r\n"),
        (b"HTTP/1.1 200 OK\r\nX-Y: ", b"y" * 1000),
        (b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n1", b";a=b" * 1000),
        (b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n", b"1;a=" + b"b" * 1000 + b"\r\n.\r\n"),
        (b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n", b"X-Y: z\r\n"),
    ],
    ids=["1xx", "lines", "a line", "chunk extensions", "an extension for each byte", "trailers"],
)
def test_a_head_without_end_is_refused(talk: Converse, beginning: bytes, again: bytes) -> None:
    it = talk("http1", timeout=5.0)
    job = it.request()
    it.peer.read_until(b"\r\n\r\n")
    flood = beginning + again * (500_000 // len(again))
    with little_memory():
        pour(it.peer, flood)
        with pytest.raises(greenh2.RemoteProtocolError):
            job.get()


@BOTH
@pytest.mark.parametrize("allowed", [True, False])
def test_a_bomb_is_unpacked_piece_by_piece_if_at_all(talk: Converse, protocol: str, allowed: bool) -> None:
    size = 30_000_000
    packed = gzip.compress(bytes(size), 6)
    it = talk(protocol, timeout=5.0, max_response_bytes=size if allowed else None)
    job = it.stream()
    send_gzip(it, protocol, packed)
    response = job.get()
    with little_memory():
        if allowed:
            assert sum(map(len, response.iter_bytes())) == size
        else:
            with pytest.raises(greenh2.DecodingError, match="bomb"):
                response.read()


# -- what only looks like a flood ------------------------------------------------------------------------------------


def test_a_body_of_single_bytes_is_a_body(talk: Converse) -> None:
    it = talk(timeout=5.0)
    reader, stream_id = in_mid_answer(it)
    pour(it.peer, data(stream_id, b"x").serialize() * 30_000 + data(stream_id, b"", end=True).serialize())
    assert reader.get() == b"x" * 30_000


def test_a_stream_of_small_events_with_pings_between_them_goes_on(
    talk: Converse, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(machine, "MAX_CHATTER", 10)
    it = talk(timeout=5.0)
    reader, stream_id = in_mid_answer(it)
    event = data(stream_id, b"data: 1\n\n").serialize()
    pour(it.peer, (PING * 3 + event) * 1000 + data(stream_id, b"", end=True).serialize())
    assert reader.get() == b"data: 1\n\n" * 1000


def test_a_window_that_opens_byte_by_byte_is_no_flood(
    talk: Converse, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(machine, "MAX_CHATTER", 10)
    it = talk(timeout=5.0)
    job = it.request("POST", content=bytes(65535 + 200))
    stream_id = it.peer.expect_request().stream_id
    received = 0
    while received < 65535 + 200:
        received += len(it.peer.expect(DataFrame).data)
        if received >= 65535:
            it.peer.open_window(stream_id, 1)
    it.peer.answer(stream_id)
    assert job.get().status_code == 200


def test_a_large_upload_to_a_slow_reader_is_no_flood(talk: Converse) -> None:
    it = talk(timeout=20.0)
    job = it.request("POST", content=bytes(3 * flow.MOST_UNSENT))
    peer = it.server.accept()
    peer.greet({4: 2**31 - 1, 5: 2**24 - 1})
    peer.send(WindowUpdateFrame(0, 2**30))
    stream_id = peer.expect_request().stream_id
    for _ in range(20):  # it goes on talking while it reads nothing
        peer.send(PingFrame(0, b"12345678"))
        gevent.sleep(0.005)
    peer.send(peer.head(stream_id, end=True))
    assert job.get(timeout=10).status_code == 200
