"""Bodies of requests that fail, do not fit their length, or whose stream ends under them."""

from collections.abc import Iterator

import pytest
from gevent.event import Event
from h2.errors import ErrorCodes
from hyperframe.frame import DataFrame, RstStreamFrame, SettingsFrame

import greenh2
from tests.connection.conftest import Converse
from tests.connection.test_upload import BOTH, HEAD_END, OK, Body


def test_what_the_iterator_raises_reaches_the_caller_and_cancels_the_stream(talk: Converse) -> None:
    it = talk()
    body = Body(b"one", error=KeyError("mine"))
    job = it.request("POST", content=body)
    stream_id = it.peer.expect_request().stream_id
    with pytest.raises(KeyError, match="mine"):
        job.get()
    it.peer.expect_reset(stream_id, ErrorCodes.CANCEL)
    again = it.request()
    it.peer.answer(it.peer.expect_request().stream_id)
    assert again.get().status_code == 200


def test_what_the_iterator_raises_ends_an_http_1_1_connection(talk: Converse) -> None:
    it = talk("http1")
    job = it.request("POST", content=Body(b"one", error=KeyError("mine")))
    assert not it.peer.expect_end().endswith(b"0\r\n\r\n")
    with pytest.raises(KeyError, match="mine"):
        job.get()


@BOTH
@pytest.mark.parametrize(
    ("pieces", "text"),
    [
        ([b"12345", b"678901"], "longer than its Content-Length of 10"),
        ([b"1234567890", b"", b"1"], "longer than its Content-Length of 10"),
        ([b"12345"], "ended after 5 of 10 bytes"),
        ([], "ended after 0 of 10 bytes"),
    ],
)
def test_a_body_that_does_not_fit_its_length_is_refused(
    talk: Converse, protocol: str, pieces: list[bytes], text: str
) -> None:
    it = talk(protocol)
    job = it.request("POST", content=iter(pieces), headers={"Content-Length": "10"})
    if protocol == "h2":
        stream_id = it.peer.expect_request().stream_id
        it.peer.expect_reset(stream_id, ErrorCodes.CANCEL)
    else:
        it.peer.expect_end()
    with pytest.raises(greenh2.LocalProtocolError, match=text):
        job.get()


@BOTH
@pytest.mark.parametrize("pieces", [[b"12345", b"67890"], [b"1234567890", b""], [b"", b"1234567890"]])
def test_a_body_that_fits_its_length_is_sent(talk: Converse, protocol: str, pieces: list[bytes]) -> None:
    it = talk(protocol)
    job = it.request("POST", content=iter(pieces), headers={"Content-Length": "10"})
    if protocol == "h2":
        request = it.peer.expect_request()
        assert request.fields[b"content-length"] == b"10"
        body = b""
        while "END_STREAM" not in (frame := it.peer.expect(DataFrame)).flags:
            body += frame.data
        assert body + frame.data == b"1234567890"
        assert frame.data
        it.peer.answer(request.stream_id, 200, b"OK")
    else:
        it.peer.read_until(HEAD_END)
        assert it.peer.read_exactly(10) == b"1234567890"
        it.peer.send_bytes(OK)
    assert job.get().text == "OK"


@BOTH
def test_a_body_may_be_declared_empty(talk: Converse, protocol: str) -> None:
    it = talk(protocol)
    job = it.request("POST", content=iter([b""]), headers={"Content-Length": "0"})
    if protocol == "h2":
        it.peer.answer(it.peer.expect_request().stream_id, 200, b"OK")
    else:
        it.peer.read_until(HEAD_END)
        it.peer.send_bytes(OK)
    assert job.get().text == "OK"


@pytest.mark.parametrize("pieces", [[b"12345"], [b"1234567890"], [b"123456789", b"0"]])
@pytest.mark.parametrize("declared", ["10", None])
def test_a_stream_that_ends_while_the_iterator_is_at_work_ends_the_upload(
    talk: Converse, pieces: list[bytes], declared: str | None
) -> None:
    it = talk()
    asked, go_on = Event(), Event()

    def body() -> Iterator[bytes]:
        yield from pieces
        asked.set()
        assert go_on.wait(5.0)

    headers = {} if declared is None else {"Content-Length": declared}
    job = it.request("POST", content=body(), headers=headers)
    stream_id = it.peer.expect_request().stream_id
    assert asked.wait(5.0)
    it.peer.send(RstStreamFrame(stream_id, error_code=ErrorCodes.INTERNAL_ERROR))
    again = it.request()
    it.peer.answer(it.peer.expect_request().stream_id)
    assert again.get().status_code == 200  # so the reset has been seen
    go_on.set()
    with pytest.raises(greenh2.RemoteProtocolError, match="INTERNAL_ERROR"):
        job.get()


def test_a_shrunken_window_is_kept_to_though_the_iterator_was_at_work(talk: Converse) -> None:
    it = talk()
    asked, go_on = Event(), Event()

    def body() -> Iterator[bytes]:
        yield b"x" * 5000
        asked.set()
        assert go_on.wait(5.0)

    job = it.request("POST", content=body(), headers={"Content-Length": "5000"})
    stream_id = it.peer.expect_request().stream_id
    assert asked.wait(5.0)
    it.peer.send(SettingsFrame(0, settings={SettingsFrame.INITIAL_WINDOW_SIZE: 3000}))
    it.peer.expect_taken()
    go_on.set()
    assert len(it.peer.expect(DataFrame).data) == 3000
    it.peer.open_window(stream_id, 2000)
    assert len(it.peer.expect(DataFrame).data) == 2000
    it.peer.answer(stream_id)
    assert job.get().status_code == 200
