"""Streams as classes: bodies of requests and of responses."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from greenh2 import ByteStream, Client, LocalProtocolError, MockTransport, Request, Response, SyncByteStream

URL = "https://a.example/"


class Twice(SyncByteStream):
    def __init__(self) -> None:
        self.closed = False

    def __iter__(self) -> Iterator[bytes]:
        yield from (b"one ", b"two")

    def close(self) -> None:
        self.closed = True


def test_a_stream_is_the_body_of_a_response() -> None:
    stream = Twice()
    with Client(transport=MockTransport(lambda request: Response(200, stream=stream))) as client:
        assert client.get(URL).content == b"one two"
    assert stream.closed


def test_bytes_are_a_stream() -> None:
    assert Response(200, stream=ByteStream(b"tea")).read() == b"tea"
    assert Request("POST", URL, content=ByteStream(b"tea")).read() == b"tea"


@pytest.mark.parametrize("stream", [b"tea", [b"tea"], 5, "tea"])
def test_what_is_no_stream_is_refused_when_the_response_is_made(stream: Any) -> None:
    with pytest.raises(TypeError, match=f"not {type(stream).__name__}: give anything else as content"):
        Response(200, stream=stream)


def test_a_byte_stream_is_made_of_bytes() -> None:
    with pytest.raises(TypeError, match="stream of a ByteStream is bytes, not str"):
        ByteStream("tea")  # type: ignore[arg-type]  # what is tested


def test_a_stream_that_is_not_written_says_so() -> None:
    with pytest.raises(NotImplementedError, match="SyncByteStream does not implement __iter__"):
        Response(200, stream=SyncByteStream()).read()


def test_a_stream_is_the_body_of_a_request_and_may_be_sent_again() -> None:
    request = Request("POST", URL, stream=Twice())
    assert request.headers["transfer-encoding"] == "chunked"
    assert [b"".join(request.stream) for _ in range(2)] == [b"one two"] * 2


def test_the_stream_of_a_request_makes_another_one() -> None:
    first = Request("POST", URL, json={"tea": "green"}, headers={"X-A": "1"})
    second = Request(first.method, "https://b.example/", headers=first.headers, stream=first.stream)
    assert (second.content, second.headers["content-length"]) == (first.content, "15")
    with pytest.raises(LocalProtocolError, match="the body has 15 bytes"):
        Request("POST", URL, headers={"Content-Length": "3"}, stream=first.stream)


def test_a_request_has_one_body() -> None:
    with pytest.raises(TypeError, match="stream is another name for content"):
        Request("POST", URL, content=b"x", stream=ByteStream(b"y"))
    with pytest.raises(TypeError, match="A request has one body"):
        Request("POST", URL, json=1, stream=ByteStream(b"y"))


@pytest.mark.parametrize("content", [b"x", [b"x"], iter([b"x"])])
def test_every_body_is_a_stream(content: bytes) -> None:
    assert isinstance(Request("POST", URL, content=content).stream, SyncByteStream)
