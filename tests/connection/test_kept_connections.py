"""Kept connections that end under a request: it is sent again only where not one byte of an answer had come."""

import gevent
import pytest

import greenh2
from tests.connection.conftest import Converse, Talk

HEAD_END = b"\r\n\r\n"
OK = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nOK"
HALVES = {
    "a few bytes": b"HTTP/1.1 2",
    "an interim response": b"HTTP/1.1 103 Early Hints\r\nLink: </a.css>\r\n\r\n",
    "half a head": b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n",
}
ENDS = pytest.mark.parametrize("reset", [False, True], ids=["end", "reset"])


def second_request(talk: Converse) -> "tuple[Talk, gevent.Greenlet[..., greenh2.Response]]":
    """Have a first request answered over HTTP/1.1, and a second one sent over the same connection."""
    it = talk("http1")
    first = it.request()
    it.peer.read_until(HEAD_END)
    it.peer.send_bytes(OK)
    first.get()
    second = it.request()
    it.peer.read_until(HEAD_END)
    return it, second


@ENDS
def test_a_silent_end_has_the_request_sent_again(talk: Converse, reset: bool) -> None:
    it, job = second_request(talk)
    it.peer.abort() if reset else it.peer.close()
    again = it.accept()
    again.read_until(HEAD_END)
    again.send_bytes(OK)
    assert job.get().text == "OK"


@ENDS
@pytest.mark.parametrize("said", HALVES.values(), ids=list(HALVES))
def test_an_end_behind_the_first_bytes_of_an_answer_is_the_error_it_is(
    talk: Converse, said: bytes, reset: bool
) -> None:
    it, job = second_request(talk)
    it.peer.send_bytes(said)
    (pool,) = it.client._transport._pools.values()  # type: ignore[union-attr]
    (connection,) = pool.connections
    with gevent.Timeout(5.0):
        while not connection.protocol.begun(2):  # a reset would throw away what was not read yet
            gevent.sleep(0.001)
    it.peer.abort() if reset else it.peer.close()
    with pytest.raises(greenh2.ServerDisconnected) as caught:
        job.get()
    assert caught.value.partial
    assert not caught.value.reused_silent


def test_a_head_that_is_no_http_has_no_request_sent_again(talk: Converse) -> None:
    it, job = second_request(talk)
    it.peer.send_bytes(b"SMTP/1.1 220 ready\r\n\r\n")
    with pytest.raises(greenh2.RemoteProtocolError, match=r"broke HTTP/1\.1") as caught:
        job.get()
    assert not caught.value.reused_silent


def test_over_http_2_a_stream_that_had_interim_responses_is_not_sent_again_and_its_silent_sibling_is(
    talk: Converse,
) -> None:
    it = talk()
    first = it.request()
    it.peer.answer(it.peer.expect_request().stream_id)
    first.get()
    hinted, silent = it.request(path="/hinted"), it.request(path="/silent")
    streams = {request.fields[b":path"]: request for request in (it.peer.expect_request() for _ in range(2))}
    it.peer.send(it.peer.head(streams[b"/hinted"].stream_id, 103))
    it.peer.expect_taken()
    it.peer.close()
    again = it.accept()
    request = again.expect_request()
    assert request.fields[b":path"] == b"/silent"
    again.answer(request.stream_id)
    assert silent.get().status_code == 200
    with pytest.raises(greenh2.ServerDisconnected) as caught:
        hinted.get()
    assert not caught.value.partial
