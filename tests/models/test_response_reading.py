"""Response: reading its body, and what becomes of it when something fails."""

from __future__ import annotations

import gzip
from collections.abc import Iterator
from typing import ClassVar

import pytest

from greenh2._errors import (
    DecodingError,
    ReadError,
    ResponseNotRead,
    StreamClosed,
    StreamConsumed,
)
from greenh2._models.request import Request
from greenh2._models.response import Response


class Stream:
    """A body that arrives in the given pieces; an exception among them is raised."""

    def __init__(self, *pieces: bytes | BaseException) -> None:
        self._pieces = pieces
        self.closed = 0

    def __iter__(self) -> Iterator[bytes]:
        for piece in self._pieces:
            if isinstance(piece, BaseException):
                raise piece
            yield piece

    def close(self) -> None:
        self.closed += 1


class StreamWithTrailers(Stream):
    trailers: ClassVar = [(b"X-Checksum", b"1"), (b"x-checksum", b"2")]


def request() -> Request:
    return Request("GET", "https://user:hush@example.org/a")


def test_reading_joins_what_arrives_and_closes_the_stream() -> None:
    stream = Stream(b"a", b"", b"bc")
    response = Response(200, stream=stream)
    assert (response.read(), response.is_closed, response.is_stream_consumed, stream.closed) == (
        b"abc",
        True,
        True,
        1,
    )


def test_reading_twice_gives_the_same() -> None:
    response = Response(200, stream=Stream(b"abc"))
    assert response.read() is response.read() is response.content


def test_content_and_text_are_not_there_before_reading() -> None:
    response = Response(200, stream=Stream(b"a"))
    with pytest.raises(ResponseNotRead):
        _ = response.content
    with pytest.raises(ResponseNotRead):
        _ = response.text


def test_raw_bytes_come_as_they_arrive() -> None:
    body = gzip.compress(b"abc")
    response = Response(200, headers={"Content-Encoding": "gzip"}, stream=Stream(body[:5], body[5:]))
    assert list(response.iter_raw()) == [body[:5], body[5:]]


def test_raw_bytes_come_in_chunks_of_one_size() -> None:
    assert list(Response(200, stream=Stream(b"abc", b"de")).iter_raw(2)) == [b"ab", b"cd", b"e"]


def test_bytes_come_decoded() -> None:
    body = gzip.compress(b"abc")
    response = Response(200, headers={"Content-Encoding": "gzip"}, stream=Stream(body[:15], body[15:]))
    assert b"".join(response.iter_bytes()) == b"abc"


def test_decoded_bytes_come_in_chunks_of_one_size() -> None:
    response = Response(200, headers={"Content-Encoding": "gzip"}, stream=Stream(gzip.compress(b"abcde")))
    assert list(response.iter_bytes(2)) == [b"ab", b"cd", b"e"]


def test_bytes_can_be_iterated_after_reading() -> None:
    response = Response(200, stream=Stream(b"abcde"))
    response.read()
    assert (list(response.iter_bytes()), list(response.iter_bytes(3))) == ([b"abcde"], [b"abc", b"de"])


def test_an_empty_body_has_no_pieces_after_reading() -> None:
    assert list(Response(200).iter_bytes()) == []


def test_text_comes_decoded_by_the_charset() -> None:
    response = Response(
        200, headers={"Content-Type": "text/plain; charset=utf-16"}, stream=Stream(*_bytewise("aü"))
    )
    assert "".join(response.iter_text()) == "aü"


def _bytewise(text: str) -> list[bytes]:
    return [bytes([byte]) for byte in text.encode("utf-16")]


def test_text_comes_in_chunks_of_so_many_characters() -> None:
    response = Response(200, stream=Stream("äöü".encode()))
    assert list(response.iter_text(2)) == ["äö", "ü"]


def test_lines_come_without_their_ends() -> None:
    response = Response(200, stream=Stream(b"a\r", b"\nb\n\n", b"c"))
    assert list(response.iter_lines()) == ["a", "b", "", "c"]


def test_lines_can_be_iterated_after_reading() -> None:
    assert list(Response(200, text="a\nb").iter_lines()) == ["a", "b"]


def test_the_bytes_that_arrived_are_counted_before_decoding() -> None:
    body = gzip.compress(b"a" * 1000)
    response = Response(200, headers={"Content-Encoding": "gzip"}, stream=Stream(body))
    assert response.num_bytes_downloaded == 0
    response.read()
    assert response.num_bytes_downloaded == len(body)


def test_a_stream_can_be_read_only_once() -> None:
    response = Response(200, stream=Stream(b"a"))
    list(response.iter_bytes())
    with pytest.raises(StreamConsumed):
        response.read()
    with pytest.raises(StreamConsumed):
        next(response.iter_raw())


def test_a_second_iteration_does_not_disturb_the_first() -> None:
    stream = Stream(b"a", b"b")
    response = Response(200, stream=stream)
    pieces = response.iter_bytes()
    next(pieces)
    with pytest.raises(StreamConsumed):
        next(response.iter_text())
    assert (stream.closed, list(pieces)) == (0, [b"b"])


def test_a_closed_stream_cannot_be_read() -> None:
    response = Response(200, stream=Stream(b"a"))
    response.close()
    with pytest.raises(StreamClosed):
        response.read()


def test_closing_twice_closes_the_stream_once() -> None:
    stream = Stream(b"a")
    response = Response(200, stream=stream)
    response.close()
    response.close()
    assert stream.closed == 1


@pytest.mark.parametrize("failure", [ReadError("gone"), ValueError("ours"), KeyboardInterrupt()])
@pytest.mark.parametrize("way", ["read", "iter_raw", "iter_bytes", "iter_text", "iter_lines"])
def test_a_failure_while_reading_closes_the_stream(way: str, failure: BaseException) -> None:
    stream = Stream(b"a", failure)
    response = Response(200, stream=stream)
    with pytest.raises(type(failure)):
        list(getattr(response, way)())
    assert (stream.closed, response.is_closed) == (1, True)


@pytest.mark.parametrize("way", ["iter_raw", "iter_bytes", "iter_text", "iter_lines"])
def test_giving_up_an_iteration_closes_the_stream(way: str) -> None:
    stream = Stream(b"a\n", b"b\n")
    response = Response(200, stream=stream)
    pieces = getattr(response, way)()
    next(pieces)
    pieces.close()
    assert (stream.closed, response.is_closed) == (1, True)


def test_a_failure_while_decoding_closes_the_stream_and_names_the_request() -> None:
    stream = Stream(b"not gzip", b"more")
    asked = request()
    response = Response(200, headers={"Content-Encoding": "gzip"}, stream=stream, request=asked)
    with pytest.raises(DecodingError) as caught:
        response.read()
    assert (stream.closed, caught.value.request is asked) == (1, True)


def test_too_many_codings_close_the_stream() -> None:
    stream = Stream(b"a")
    response = Response(200, headers={"Content-Encoding": "gzip, " * 6}, stream=stream)
    with pytest.raises(DecodingError):
        response.read()
    assert stream.closed == 1


def test_an_encoding_that_python_does_not_know_closes_the_stream() -> None:
    stream = Stream(b"a")
    response = Response(200, stream=stream)
    response.encoding = "no-such-encoding"
    with pytest.raises(LookupError):
        next(response.iter_text())
    response.close()
    assert stream.closed == 1


def test_a_failure_of_the_network_names_the_request() -> None:
    asked = request()
    with pytest.raises(ReadError) as caught:
        list(Response(200, stream=Stream(ReadError("gone")), request=asked).iter_raw())
    assert caught.value.request is asked


def test_a_failure_that_names_its_request_keeps_it() -> None:
    asked = request()
    with pytest.raises(ReadError) as caught:
        Response(200, stream=Stream(ReadError("gone", request=asked)), request=request()).read()
    assert caught.value.request is asked


def test_a_failure_of_a_response_without_request_names_none() -> None:
    with pytest.raises(ReadError) as caught:
        Response(200, stream=Stream(ReadError("gone"))).read()
    with pytest.raises(RuntimeError):
        _ = caught.value.request


def test_trailers_are_there_once_the_body_is_read() -> None:
    response = Response(200, stream=StreamWithTrailers(b"a"))
    assert len(response.trailers) == 0
    response.read()
    assert response.trailers.get_list("X-Checksum") == ["1", "2"]


def test_a_stream_without_trailers_leaves_them_empty() -> None:
    response = Response(200, stream=Stream(b"a"))
    response.read()
    assert len(response.trailers) == 0


def test_trailers_can_be_given() -> None:
    assert Response(200, trailers={"a": "b"}).trailers["a"] == "b"
