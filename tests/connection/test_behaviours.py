"""Behaviours of a client as a whole that stand in docs/conformance.md and belong to no other file here."""

import gevent
import pytest
from h2.errors import ErrorCodes
from hyperframe.frame import (
    ContinuationFrame,
    DataFrame,
    Frame,
    GoAwayFrame,
    HeadersFrame,
    PingFrame,
    RstStreamFrame,
    SettingsFrame,
    WindowUpdateFrame,
)

import greenh2
from tests.connection.conftest import Converse, Talk
from tests.connection.test_upload import HEAD_END
from tests.support.rawserver import H2Peer, data

WINDOW = 65535
UNBOUNDED = greenh2.Timeout(None)


def take(peer: H2Peer, stream_id: int, size: int) -> None:
    """Take so many bytes of a request's body, and nothing else meanwhile."""
    while size > 0:
        size -= len(peer.expect(DataFrame, stream_id=stream_id).data)
    assert not size


def upload(it: Talk) -> tuple["gevent.Greenlet[..., greenh2.Response]", int]:
    """Begin an upload that waits for a larger window."""
    job = it.request("POST", content=bytes(2 * WINDOW))
    stream_id = it.peer.expect_request().stream_id
    take(it.peer, stream_id, WINDOW)
    return job, stream_id


def test_a_reset_wakes_an_upload_that_waits_for_its_window(talk: Converse) -> None:
    it = talk(timeout=UNBOUNDED)
    job, stream_id = upload(it)
    it.peer.send(RstStreamFrame(stream_id, error_code=ErrorCodes.INTERNAL_ERROR))
    with pytest.raises(greenh2.RemoteProtocolError, match="INTERNAL_ERROR"):
        job.get(timeout=5.0)


def test_a_reset_wakes_who_reads_at_once(talk: Converse) -> None:
    it = talk(timeout=UNBOUNDED)
    job = it.stream()
    stream_id = it.peer.expect_request().stream_id
    it.peer.send(it.peer.head(stream_id), data(stream_id, b"a beginning"))
    pieces = job.get().iter_raw()
    assert next(pieces) == b"a beginning"
    reader = gevent.spawn(next, pieces)
    gevent.idle()
    it.peer.send(RstStreamFrame(stream_id, error_code=ErrorCodes.INTERNAL_ERROR))
    with pytest.raises(greenh2.RemoteProtocolError, match="INTERNAL_ERROR"):
        reader.get(timeout=5.0)


def test_a_stalled_upload_holds_none_of_the_connection_s_window(talk: Converse) -> None:
    it = talk()
    first = it.request("GET")
    it.peer.send(SettingsFrame(0, {4: 10}))
    it.peer.answer(it.peer.expect_request().stream_id)
    first.get()
    stalled = it.request("POST", content=bytes(WINDOW))
    one = it.peer.expect_request().stream_id
    take(it.peer, one, 10)
    other = it.request("POST", content=bytes(WINDOW - 10))
    two = it.peer.expect_request().stream_id
    it.peer.send(WindowUpdateFrame(two, WINDOW))
    take(it.peer, two, WINDOW - 10)
    for stream_id in one, two:
        it.peer.answer(stream_id, 413)
    assert [job.get().status_code for job in (stalled, other)] == [413, 413]


def test_a_ping_is_answered_while_an_upload_waits(talk: Converse) -> None:
    it = talk()
    job, stream_id = upload(it)
    it.peer.send(PingFrame(0, b"meantime"))
    it.peer.expect(PingFrame, flags={"ACK"}, opaque_data=b"meantime")
    it.peer.open_window(stream_id, WINDOW)
    take(it.peer, stream_id, WINDOW)
    it.peer.answer(stream_id)
    assert job.get().status_code == 200


def test_a_server_that_turns_everything_away_is_not_asked_for_ever(talk: Converse) -> None:
    it = talk()
    job = it.request("POST", content=b"pay once")
    for peer in (it.accept() for _ in range(6)):
        peer.expect_request()
        peer.send(GoAwayFrame(0, last_stream_id=0, error_code=ErrorCodes.ENHANCE_YOUR_CALM))
    with pytest.raises(greenh2.RemoteProtocolError, match=r"ENHANCE_YOUR_CALM.* 6 attempts"):
        job.get()


@pytest.mark.parametrize("trailers", [False, True], ids=["plain", "trailers"])
@pytest.mark.parametrize("pieces", [0, 1, 2])
@pytest.mark.parametrize("frames", [1, 3], ids=["a frame", "continued"])
@pytest.mark.parametrize("interim", [0, 1, 2])
def test_all_shapes_of_a_response_are_understood(
    talk: Converse, interim: int, frames: int, pieces: int, trailers: bool
) -> None:
    it = talk()
    job = it.request()
    stream_id = it.peer.expect_request().stream_id
    answer: list[Frame] = [it.peer.head(stream_id, 100 + number) for number in (0, 3)[:interim]]
    block = it.peer.head(stream_id, 200, ("x-from", "here")).data
    parts = [block] if frames == 1 else [block[:1], b"", block[1:]]
    head = HeadersFrame(stream_id, parts[0])
    answer += [head, *[ContinuationFrame(stream_id, part) for part in parts[1:]]]
    answer[-1].flags.add("END_HEADERS")
    answer += [data(stream_id, b"piece") for _ in range(pieces)]
    if trailers:
        last = HeadersFrame(stream_id, b"\x00\x01t\x01v", flags=["END_HEADERS", "END_STREAM"])
        answer.append(last)
    elif pieces:
        answer[-1].flags.add("END_STREAM")
    else:
        head.flags.add("END_STREAM")
    it.peer.send(*answer)
    response = job.get()
    assert response.status_code == 200
    assert response.headers["x-from"] == "here"
    assert response.content == b"piece" * pieces
    assert dict(response.trailers) == ({"t": "v"} if trailers else {})


def test_a_server_that_answers_while_it_is_written_to_is_read(talk: Converse) -> None:
    size = 8 * 1024 * 1024
    it = talk("http1")
    job = it.request("POST", content=bytes(size))
    it.peer.read_until(HEAD_END)
    head = b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % (size + 1)
    it.peer.send_bytes(head + bytes(size))  # before it reads any of the request
    assert it.peer.read_exactly(size) == bytes(size)
    it.peer.send_bytes(b".")
    assert len(job.get().content) == size + 1


def test_no_more_streams_are_open_than_the_server_allows_and_who_waits_is_served_in_order(
    talk: Converse,
) -> None:
    it = talk(limits=1)
    warm = it.request()
    it.peer.send(SettingsFrame(0, {3: 1}))
    it.peer.answer(it.peer.expect_request().stream_id)
    warm.get()
    jobs = [it.request(path=f"/{number}") for number in range(5)]
    for number, job in enumerate(jobs):
        request = it.peer.expect_request()
        assert request.fields[b":path"] == b"/%d" % number
        it.peer.send(PingFrame(0, b"any more"))
        before = []
        for frame in it.peer.frames():
            before.append(frame)
            if isinstance(frame, PingFrame):
                break
        assert not [frame for frame in before if isinstance(frame, HeadersFrame)]
        it.peer.answer(request.stream_id)
        assert job.get().status_code == 200


def test_a_ping_that_cannot_be_written_runs_out_of_time(talk: Converse) -> None:
    it = talk(timeout=UNBOUNDED, limits=greenh2.Limits(ping_interval=0.1, ping_timeout=0.3))
    warm = it.request()
    it.peer.send(SettingsFrame(0, {4: 2**24}), WindowUpdateFrame(0, 2**24))
    it.peer.answer(it.peer.expect_request().stream_id)
    warm.get()
    job = it.request("POST", content=bytes(2**24))  # more than the kernel takes, and nobody reads it
    with pytest.raises(greenh2.ServerDisconnected, match="PING"):
        job.get(timeout=5.0)
