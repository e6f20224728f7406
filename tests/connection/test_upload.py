"""Bodies of requests: how they are cut, what ends them early, and what is said about those that do not fit."""

from collections.abc import Iterator

import gevent
import pytest
from gevent.event import Event
from h2.errors import ErrorCodes
from hyperframe.frame import DataFrame, RstStreamFrame, SettingsFrame, WindowUpdateFrame

import greenh2
from tests.connection.conftest import Converse
from tests.support.rawserver import data

HEAD_END = b"\r\n\r\n"
OK = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nOK"
BOTH = pytest.mark.parametrize("protocol", ["h2", "http1"])


class Body:
    """A body made piece by piece, which knows what has become of it."""

    def __init__(self, *pieces: bytes, error: Exception = AssertionError("taken to its end")) -> None:  # noqa: B008
        self.pieces = pieces
        self.error = error
        self.taken = 0
        self.ended = Event()

    def __iter__(self) -> Iterator[bytes]:
        try:
            for piece in self.pieces:
                self.taken += 1
                yield piece
            raise self.error
        finally:
            self.ended.set()


def endless() -> Iterator[bytes]:
    while True:
        yield b"x" * 10_000


# -- how it is cut -----------------------------------------------------------------------------------------------


def test_the_last_data_frame_of_a_body_of_known_length_ends_the_stream(talk: Converse) -> None:
    it = talk()
    job = it.request("POST", content=b"x" * 20_000)
    request = it.peer.expect_request()
    assert not request.ended
    frames = [it.peer.expect(DataFrame), it.peer.expect(DataFrame)]
    assert [(len(frame.data), "END_STREAM" in frame.flags) for frame in frames] == [
        (16384, False),
        (3616, True),
    ]
    it.peer.answer(request.stream_id)
    assert job.get().status_code == 200


def test_no_body_ends_the_stream_with_its_head(talk: Converse) -> None:
    it = talk()
    job = it.request("POST")
    request = it.peer.expect_request()
    assert request.ended
    it.peer.answer(request.stream_id)
    assert job.get().status_code == 200


def test_empty_pieces_end_nothing_over_http_2(talk: Converse) -> None:
    it = talk()
    job = it.request("POST", content=[b"", b"one", b"", b"two", b""])
    request = it.peer.expect_request()
    body = b""
    while "END_STREAM" not in (frame := it.peer.expect(DataFrame)).flags:
        assert frame.data
        body += frame.data
    assert body + frame.data == b"onetwo"
    it.peer.answer(request.stream_id)
    assert job.get().status_code == 200


def test_empty_pieces_end_nothing_over_http_1_1(talk: Converse) -> None:
    it = talk("http1")
    job = it.request("POST", content=[b"", b"one", b"", b"two", b""])
    assert b"Transfer-Encoding: chunked" in it.peer.read_until(HEAD_END)
    assert it.peer.read_until(b"0\r\n\r\n") == b"3\r\none\r\n3\r\ntwo\r\n0\r\n\r\n"
    it.peer.send_bytes(OK)
    assert job.get().text == "OK"


def nothing_yet(started: Event) -> Iterator[bytes]:
    """A body that looks for something to send now and then, and finds nothing."""
    yield b"first"
    while True:
        started.set()
        gevent.sleep(0.001)
        yield b""


@BOTH
def test_a_body_that_has_nothing_to_send_for_now_hears_the_answer(talk: Converse, protocol: str) -> None:
    it = talk(protocol)
    started = Event()
    job = it.request("POST", content=nothing_yet(started))
    if protocol == "h2":
        it.peer.answer(it.peer.expect_request().stream_id, 413)
    else:
        it.peer.read_until(b"first\r\n")
        it.peer.send_bytes(b"HTTP/1.1 413 Too Much\r\nContent-Length: 0\r\n\r\n")
    assert job.get(timeout=5.0).status_code == 413


@BOTH
def test_a_body_that_has_nothing_to_send_for_now_runs_out_of_the_total(talk: Converse, protocol: str) -> None:
    it = talk(protocol, timeout=greenh2.Timeout(5.0, total=1.0))
    job = it.request("POST", content=nothing_yet(Event()))
    assert it.peer
    with pytest.raises(greenh2.TotalTimeout):
        job.get(timeout=5.0)


@BOTH
def test_a_body_that_has_nothing_to_send_for_now_ends_with_the_client(talk: Converse, protocol: str) -> None:
    it = talk(protocol)
    started = Event()
    job = it.request("POST", content=nothing_yet(started))
    assert it.peer
    assert started.wait(5.0)
    it.client.close()
    with pytest.raises(greenh2.CloseError):
        job.get(timeout=5.0)


def test_a_piece_larger_than_any_window_goes_out_as_the_window_opens(talk: Converse) -> None:
    it = talk()
    job = it.request("POST", content=b"x" * 200_000)
    request = it.peer.expect_request()
    received = 0
    while received < 200_000:
        frame = it.peer.expect(DataFrame)
        received += len(frame.data)
        it.peer.open_window(request.stream_id, len(frame.data))
    it.peer.answer(request.stream_id)
    assert job.get().status_code == 200


def test_a_window_opened_by_settings_wakes_the_upload(talk: Converse) -> None:
    it = talk()
    job = it.request("POST", content=b"x" * 70_000)
    stream_id = it.peer.expect_request().stream_id
    for _ in range(4):
        it.peer.expect(DataFrame)
    it.peer.open_window(0, 100_000)
    it.peer.send(SettingsFrame(0, settings={SettingsFrame.INITIAL_WINDOW_SIZE: 100_000}))
    rest = it.peer.expect(DataFrame)
    assert "END_STREAM" in rest.flags
    it.peer.answer(stream_id)
    assert job.get().status_code == 200


# -- bounds ------------------------------------------------------------------------------------------------------


@BOTH
def test_a_peer_that_does_not_read_holds_the_iterator_up(talk: Converse, protocol: str) -> None:
    it = talk(protocol, timeout=greenh2.Timeout(5.0, write=0.2))
    body = Body(*[b"x" * 65536] * 1000)
    job = it.request("POST", content=body)
    peer = it.peer
    peer.expect_request() if protocol == "h2" else peer.read_until(HEAD_END)
    with pytest.raises(greenh2.WriteTimeout, match=r"took nothing of the request for \d"):
        job.get()
    assert body.taken < 300
    assert body.ended.is_set()


def test_other_greenlets_run_while_a_peer_takes_all_it_gets(talk: Converse) -> None:
    it = talk("http1")
    job = it.request("POST", content=b"x" * 30_000_000)
    it.peer.read_until(HEAD_END)
    reading = gevent.spawn(it.peer.read_exactly, 30_000_000)
    turns = 0
    while not reading.ready():
        gevent.sleep(0.001)
        turns += 1
    assert turns > 10
    it.peer.send_bytes(OK)
    assert job.get().text == "OK"


def test_two_uploads_on_one_connection_take_turns(talk: Converse) -> None:
    it = talk()
    jobs = [it.request("POST", path, content=endless()) for path in ("/a", "/b")]
    first, second = (it.peer.expect_request().stream_id for _ in jobs)
    for stream_id in (first, second):
        it.peer.send(WindowUpdateFrame(stream_id, 2**28))
    it.peer.send(WindowUpdateFrame(0, 2**30))
    count = {first: 0, second: 0}
    while min(count.values()) < 2_000_000:
        frame = it.peer.expect(DataFrame)
        count[frame.stream_id] += len(frame.data)
        assert abs(count[first] - count[second]) < 4_000_000
    gevent.killall(jobs)


# -- answers that come early ---------------------------------------------------------------------------------------


def test_an_early_refusal_over_http_2_is_the_answer_and_stops_the_upload(talk: Converse) -> None:
    it = talk()
    body = Body(*[b"x" * 10_000] * 1000)
    job = it.request("POST", content=body)
    stream_id = it.peer.expect_request().stream_id
    it.peer.expect(DataFrame)
    it.peer.answer(stream_id, 413, b"too much")
    response = job.get()
    assert (response.status_code, response.text) == (413, "too much")
    it.peer.expect_reset(stream_id, ErrorCodes.NO_ERROR)
    assert body.ended.is_set()
    assert body.taken < 1000
    again = it.request()  # the connection is as good as before
    it.peer.answer(it.peer.expect_request().stream_id)
    assert again.get().status_code == 200


def test_an_early_refusal_over_http_1_1_is_the_answer_and_ends_the_connection(talk: Converse) -> None:
    it = talk("http1")
    body = Body(*[b"x" * 10_000] * 10_000)
    job = it.request("POST", content=body)
    it.peer.read_until(HEAD_END)
    it.peer.send_bytes(b"HTTP/1.1 413 Too Large\r\nContent-Length: 8\r\n\r\ntoo much")
    response = job.get()
    assert (response.status_code, response.text) == (413, "too much")
    it.peer.expect_end()
    assert body.ended.is_set()


def test_an_early_refusal_whose_body_is_still_to_come_stops_the_upload_at_once(talk: Converse) -> None:
    it = talk()
    body = Body(*[b"x" * 10_000] * 1000)
    job = it.stream("POST", content=body)
    stream_id = it.peer.expect_request().stream_id
    it.peer.send(it.peer.head(stream_id, 403))
    response = job.get()
    assert body.ended.is_set()
    it.peer.send(data(stream_id, b"no", end=True))
    assert response.read() == b"no"


def test_a_whole_early_answer_ends_the_upload_whatever_its_status(talk: Converse) -> None:
    it = talk()
    body = Body(*[b"x" * 10_000] * 1000)
    job = it.request("POST", content=body)
    stream_id = it.peer.expect_request().stream_id
    it.peer.answer(stream_id, 200, b"enough")
    assert job.get().text == "enough"
    it.peer.expect_reset(stream_id, ErrorCodes.NO_ERROR)
    assert body.ended.is_set()


def test_a_whole_early_answer_while_the_body_is_read_ends_the_upload(talk: Converse) -> None:
    it = talk()
    body = Body(*[b"x" * 10_000] * 1000)
    job = it.stream("POST", content=body)
    stream_id = it.peer.expect_request().stream_id
    it.peer.send(it.peer.head(stream_id))
    response = job.get()
    assert not body.ended.is_set()
    it.peer.send(data(stream_id, b"enough", end=True))
    assert response.read() == b"enough"
    it.peer.expect_reset(stream_id, ErrorCodes.NO_ERROR)
    assert body.ended.is_set()


def test_a_reset_without_error_behind_a_whole_answer_is_no_error(talk: Converse) -> None:
    it = talk()
    job = it.request("POST", content=endless())
    stream_id = it.peer.expect_request().stream_id
    reset = RstStreamFrame(stream_id, error_code=ErrorCodes.NO_ERROR)
    it.peer.send(it.peer.head(stream_id), data(stream_id, b"enough", end=True), reset)
    assert job.get().text == "enough"


def test_an_early_success_lets_the_upload_go_on_while_the_answer_is_read(talk: Converse) -> None:
    it = talk()
    go_on = Event()

    def body() -> Iterator[bytes]:
        yield b"one"
        assert go_on.wait(5.0)
        yield b"two"

    job = it.stream("POST", content=body())
    stream_id = it.peer.expect_request().stream_id
    assert it.peer.expect(DataFrame).data == b"one"
    it.peer.send(it.peer.head(stream_id))
    go_on.set()
    reading = gevent.spawn(lambda: job.get().read())
    assert it.peer.expect(DataFrame).data == b"two"
    assert "END_STREAM" in it.peer.expect(DataFrame).flags
    it.peer.send(data(stream_id, b"understood", end=True))
    assert reading.get() == b"understood"
