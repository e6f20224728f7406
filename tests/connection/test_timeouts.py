"""Every wait of an exchange has its own time: nobody else shortens or stretches it, and slow is not stalled."""

import time
from collections.abc import Iterator
from contextlib import suppress

import gevent
import pytest
from h2.errors import ErrorCodes
from hyperframe.frame import DataFrame, PingFrame

import greenh2
from tests.connection.conftest import Converse
from tests.connection.test_upload import BOTH, HEAD_END, endless
from tests.support.badnet import Pace, Relay
from tests.support.clients import MakeClient
from tests.support.origins import OriginFactory
from tests.support.rawserver import data


def short(**phases: float) -> greenh2.Timeout:
    return greenh2.Timeout(10.0, **phases)


@BOTH
def test_a_peer_that_does_not_answer_is_a_read_timeout(talk: Converse, protocol: str) -> None:
    it = talk(protocol, timeout=short(read=0.1))
    job = it.request()
    it.peer.expect_request() if protocol == "h2" else it.peer.read_until(HEAD_END)
    with pytest.raises(greenh2.ReadTimeout, match=r"did not answer for \d"):
        job.get()


def test_a_timed_out_stream_is_cancelled_and_its_connection_serves_on(talk: Converse) -> None:
    it = talk(timeout=short(read=0.5))
    job = it.request()
    stream_id = it.peer.expect_request().stream_id
    with pytest.raises(greenh2.ReadTimeout):
        job.get()
    it.peer.expect_reset(stream_id, ErrorCodes.CANCEL)
    again = it.request(timeout=5.0)
    it.peer.answer(it.peer.expect_request().stream_id)
    assert again.get().status_code == 200


def test_a_body_that_stalls_is_a_read_timeout(talk: Converse) -> None:
    it = talk(timeout=short(read=0.7))
    it.warm_up()
    job = it.request()
    stream_id = it.peer.expect_request().stream_id
    it.peer.send(it.peer.head(stream_id), data(stream_id, b"a beginning"))
    with pytest.raises(greenh2.ReadTimeout, match=r"sent nothing for \d"):
        job.get()


def test_the_reading_time_starts_anew_with_every_piece(talk: Converse) -> None:
    it = talk(timeout=short(read=0.9))
    it.warm_up()
    job = it.request()
    stream_id = it.peer.expect_request().stream_id
    it.peer.send(it.peer.head(stream_id))
    for _ in range(6):
        gevent.sleep(0.2)
        it.peer.send(data(stream_id, b"."))
    it.peer.send(data(stream_id, b"", end=True))
    assert job.get().text == "......"


def test_the_reading_time_starts_anew_with_every_piece_of_a_head_over_http_1_1(talk: Converse) -> None:
    it = talk("http/1.1", timeout=short(read=0.9))
    job = it.request()
    it.peer.read_until(HEAD_END)
    for piece in (b"HTTP/1.1 102 Processing", b"\r\n\r\n", b"HTTP/1.1 20", b"0 OK\r\nContent-", b"Length: 2"):
        it.peer.send_bytes(piece)
        gevent.sleep(0.25)
    it.peer.send_bytes(b"\r\n\r\nok")
    assert job.get().text == "ok"


def test_the_reading_time_starts_anew_with_every_interim_response_over_http_2(talk: Converse) -> None:
    it = talk(timeout=short(read=0.9))
    it.warm_up()
    job = it.request()
    stream_id = it.peer.expect_request().stream_id
    for _ in range(5):
        it.peer.send(it.peer.head(stream_id, status=102))
        gevent.sleep(0.25)
    it.peer.answer(stream_id)
    assert job.get().status_code == 200


def test_a_server_that_says_no_more_after_an_interim_response_is_a_read_timeout(talk: Converse) -> None:
    it = talk(timeout=short(read=0.3))
    it.warm_up()
    job = it.request()
    it.peer.send(it.peer.head(it.peer.expect_request().stream_id, status=103))
    with pytest.raises(greenh2.ReadTimeout, match=r"did not answer for \d"):
        job.get()


def test_frames_for_others_do_not_stretch_the_reading_time(talk: Converse) -> None:
    it = talk(timeout=short(read=0.2))
    waiting = it.request()
    it.peer.expect_request()
    other = it.request(timeout=10.0)
    stream_id = it.peer.expect_request().stream_id
    it.peer.send(it.peer.head(stream_id))
    started = time.monotonic()
    while not waiting.ready() and time.monotonic() - started < 2.0:
        it.peer.send(data(stream_id, b"."), PingFrame(0, b"12345678"))
        gevent.sleep(0.01)
    with pytest.raises(greenh2.ReadTimeout):
        waiting.get(block=False)
    it.peer.send(data(stream_id, b"", end=True))
    assert set(other.get().text) == {"."}


def test_empty_data_frames_do_not_stretch_the_reading_time(talk: Converse) -> None:
    it = talk(timeout=short(read=0.2))
    waiting = it.request()
    stream_id = it.peer.expect_request().stream_id
    it.peer.send(it.peer.head(stream_id))
    started = time.monotonic()
    while not waiting.ready() and time.monotonic() - started < 2.0:
        it.peer.send(data(stream_id, b""))
        gevent.sleep(0.02)
    with pytest.raises(greenh2.ReadTimeout):
        waiting.get(block=False)


@BOTH
def test_the_total_ends_an_answer_that_drips(talk: Converse, protocol: str) -> None:
    it = talk(protocol, timeout=short(read=0.9, total=1.0))
    job = it.request()
    if protocol == "h2":
        stream_id = it.peer.expect_request().stream_id
        it.peer.send(it.peer.head(stream_id))
        drip = data(stream_id, b".").serialize()
    else:
        it.peer.read_until(HEAD_END)
        it.peer.send_bytes(b"HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\n")
        drip = b"."
    started = time.monotonic()
    while not job.ready() and time.monotonic() - started < 4.0:
        with suppress(ConnectionError):  # the client may have ended meanwhile
            it.peer.send_bytes(drip)
        gevent.sleep(0.05)
    with pytest.raises(greenh2.TotalTimeout):
        job.get(block=False)


def test_a_window_that_stays_shut_is_a_write_timeout(talk: Converse) -> None:
    it = talk(timeout=short(write=0.1))
    it.warm_up()
    job = it.request("POST", content=b"x" * 100_000)
    stream_id = it.peer.expect_request().stream_id
    for _ in range(4):
        it.peer.expect(DataFrame)
    with pytest.raises(greenh2.WriteTimeout, match=r"took nothing of the request for \d"):
        job.get()
    it.peer.expect_reset(stream_id, ErrorCodes.CANCEL)


def test_uploads_of_others_do_not_stretch_the_writing_time_under_a_shut_window(talk: Converse) -> None:
    it = talk(timeout=short(write=0.3))
    stalled = it.request("POST", content=b"x" * 100_000)
    first = it.peer.expect_request().stream_id
    it.peer.open_window(0, 2**28)
    other = it.request("POST", content=endless(), timeout=10.0)
    second = it.peer.expect_request().stream_id
    assert second != first
    started = time.monotonic()
    while not stalled.ready() and time.monotonic() - started < 2.0:
        it.peer.open_window(second, 20_000)
        gevent.sleep(0.01)
    with pytest.raises(greenh2.WriteTimeout):
        stalled.get(block=False)
    other.kill()


def test_a_slow_line_is_no_stall_while_the_body_is_sent(
    origin: OriginFactory, make_client: MakeClient
) -> None:
    server = origin()
    with Relay(server.port, to_server=Pace(portion=65536, pause=0.02)) as net:
        client = make_client(timeout=short(write=0.8))
        started = time.monotonic()
        answer = client.post(f"https://localhost:{net.port}/", content=b"x" * 5_000_000)
        assert time.monotonic() - started > 1.2
        assert answer.status_code == 200


@BOTH
def test_a_kernel_that_takes_nothing_is_a_write_timeout(talk: Converse, protocol: str) -> None:
    it = talk(protocol, timeout=short(write=0.2))
    job = it.request("POST", content=b"x" * 30_000_000)
    if protocol == "h2":
        it.peer.open_window(it.peer.expect_request().stream_id, 2**28)
    else:
        it.peer.read_until(HEAD_END)
    with pytest.raises(greenh2.WriteTimeout):
        job.get()


def test_the_total_ends_an_upload_that_crawls(talk: Converse) -> None:
    it = talk("http1", timeout=short(write=5.0, total=0.8))
    job = it.request("POST", content=endless())
    it.peer.read_until(HEAD_END)
    started = time.monotonic()
    while not job.ready() and time.monotonic() - started < 4.0:
        it.peer.read()
        gevent.sleep(0.05)
    with pytest.raises(greenh2.TotalTimeout):
        job.get(block=False)


def test_the_total_ends_a_download_that_always_has_more(talk: Converse) -> None:
    it = talk(timeout=short(total=1.0))
    it.warm_up()
    job = it.stream()
    stream_id = it.peer.expect_request().stream_id
    it.peer.send(it.peer.head(stream_id))
    response = job.get()
    pieces = response.iter_raw()
    inbox = response.stream._exchange._inbox  # type: ignore[attr-defined]
    with pytest.raises(greenh2.TotalTimeout, match="was not done in time"):
        for _ in range(20):
            it.peer.send(data(stream_id, b"more"))
            while not inbox:
                gevent.sleep(0.001)
            gevent.sleep(0.1)
            assert next(pieces) == b"more"


def test_the_total_ends_an_upload_that_is_always_taken(talk: Converse) -> None:
    def slow() -> Iterator[bytes]:
        for _ in range(20):
            gevent.sleep(0.1)
            yield b"more"

    it = talk(timeout=short(total=1.0))
    it.warm_up()
    job = it.request("POST", content=slow())
    it.peer.expect_request()
    with pytest.raises(greenh2.TotalTimeout, match="was not done in time"):
        job.get()


def test_what_came_while_the_loop_stood_is_not_too_late(talk: Converse) -> None:
    it = talk(timeout=short(total=1.0))
    it.warm_up()
    job = it.stream()
    stream_id = it.peer.expect_request().stream_id
    it.peer.send(it.peer.head(stream_id))
    response = job.get()
    it.peer.send(data(stream_id, b"in time", end=True))
    time.sleep(1.1)
    assert response.read() == b"in time"


def test_no_limit_at_all_waits(talk: Converse) -> None:
    it = talk(timeout=None)
    job = it.request()
    stream_id = it.peer.expect_request().stream_id
    gevent.sleep(0.05)
    it.peer.answer(stream_id)
    assert job.get().status_code == 200


def test_a_timeout_from_outside_cancels_the_stream(talk: Converse) -> None:
    it = talk()
    it.warm_up()
    outside = gevent.Timeout(0.1)

    def bounded() -> None:
        with outside:
            it.client.get(it.server.url)

    job = gevent.spawn(bounded)
    stream_id = it.peer.expect_request().stream_id
    with pytest.raises(gevent.Timeout) as caught:
        job.get()
    assert caught.value is outside
    it.peer.expect_reset(stream_id, ErrorCodes.CANCEL)


@pytest.mark.parametrize("stage", ["head", "body", "upload"])
def test_a_kill_at_any_wait_cancels_the_stream_and_nothing_else(talk: Converse, stage: str) -> None:
    it = talk()
    sibling = it.request()
    waiting = it.peer.expect_request().stream_id
    killed = it.request("POST", content=endless() if stage == "upload" else b"short")
    stream_id = it.peer.expect_request().stream_id
    if stage == "body":
        it.peer.send(it.peer.head(stream_id), data(stream_id, b"a beginning"))
        it.peer.expect_taken()
    if stage == "upload":
        for _ in range(4):
            it.peer.expect(DataFrame)
    gevent.sleep(0)
    killed.kill()
    it.peer.expect_reset(stream_id, ErrorCodes.CANCEL)
    it.peer.answer(waiting, 200, b"undisturbed")
    assert sibling.get().text == "undisturbed"
