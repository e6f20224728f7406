"""What comes byte by byte is no stall: the reading time starts anew with each piece of a frame, a head, or a record."""

import time

import gevent
import pytest
from hyperframe.frame import ContinuationFrame, HeadersFrame

import greenh2
from tests.connection.conftest import Converse
from tests.connection.test_upload import BOTH, HEAD_END
from tests.support.rawserver import data

PATIENT = greenh2.Timeout(10.0, read=0.9)


def portions(data: bytes, count: int) -> list[bytes]:
    """Cut the bytes into so many pieces, the first two of which are no whole frame header."""
    size = len(data[8:]) // (count - 2) + 1
    return [data[:3], data[3:8], *[data[start : start + size] for start in range(8, len(data), size)]]


@pytest.mark.parametrize(
    ("what", "sealed"),
    [
        ("head", False),
        ("continued head", False),
        ("data", False),
        ("trailers", False),
        ("head", True),  # to TLS it makes no difference what is in a record
        ("data", True),
    ],
)
def test_the_reading_time_starts_anew_with_every_piece_of_a_frame_of_its_own(
    talk: Converse, what: str, sealed: bool
) -> None:
    it = talk(timeout=PATIENT)
    it.warm_up()
    job = it.request()
    stream_id = it.peer.expect_request().stream_id
    head = it.peer.head(stream_id, 200, ("x-long", "y" * 200))
    match what:
        case "head":
            slow = head.serialize()
        case "continued head":
            block, head.data = head.data, b""
            head.flags.discard("END_HEADERS")
            it.peer.send(head)
            slow = ContinuationFrame(stream_id, block, flags=["END_HEADERS"]).serialize()
        case "data":
            it.peer.send(head)
            slow = data(stream_id, b"." * 200).serialize()
        case _:
            it.peer.send(head)
            trailers = HeadersFrame(stream_id, it.peer._encoder.encode([("x-end", "z" * 200)]))
            trailers.flags |= {"END_HEADERS", "END_STREAM"}
            slow = trailers.serialize()
    for piece in portions(it.peer.encrypt(slow) if sealed else slow, 7):
        it.peer.send_cipher(piece) if sealed else it.peer.send_bytes(piece)
        gevent.sleep(0.25)
    if what != "trailers":
        it.peer.send(data(stream_id, b"", end=True))
    assert job.get().status_code == 200


def test_the_reading_time_starts_anew_with_every_piece_of_a_record_of_tls_over_http_1_1(
    talk: Converse,
) -> None:
    it = talk("http/1.1", timeout=PATIENT)
    job = it.request()
    it.peer.read_until(HEAD_END)
    for piece in portions(it.peer.encrypt(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"), 7):
        it.peer.send_cipher(piece)
        gevent.sleep(0.25)
    assert job.get().text == "ok"


@BOTH
def test_pieces_that_came_while_the_loop_stood_start_the_reading_time_anew(
    talk: Converse, protocol: str
) -> None:
    it = talk(protocol, timeout=PATIENT)
    job = it.request()
    if protocol == "h2":
        stream_id = it.peer.expect_request().stream_id
        answer = it.peer.head(stream_id, 204, end=True).serialize()
    else:
        it.peer.read_until(HEAD_END)
        answer = b"HTTP/1.1 204 No Content\r\n\r\n"
    time.sleep(0.5)
    it.peer.send_at_once(it.peer.encrypt(answer[:5]))
    time.sleep(0.5)
    gevent.sleep(0.2)
    it.peer.send_bytes(answer[5:])
    assert job.get().status_code == 204


def test_a_frame_for_another_that_drips_does_not_stretch_the_reading_time(talk: Converse) -> None:
    it = talk(timeout=greenh2.Timeout(10.0, read=0.4))
    it.warm_up()
    waiting = it.request()
    it.peer.expect_request()
    other = it.request(timeout=10.0)
    stream_id = it.peer.expect_request().stream_id
    it.peer.send(it.peer.head(stream_id))
    slow = data(stream_id, b"." * 100, end=True).serialize()
    it.peer.send_bytes(slow[:9])
    started, position = time.monotonic(), 9
    while not waiting.ready() and time.monotonic() - started < 4.0:
        it.peer.send_bytes(slow[position : position + 1])
        position += 1
        gevent.sleep(0.05)
    with pytest.raises(greenh2.ReadTimeout):
        waiting.get(block=False)
    it.peer.send_bytes(slow[position:])
    assert other.get().text == "." * 100
