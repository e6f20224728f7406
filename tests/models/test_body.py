"""Bodies: what they send, how often, and what they refuse."""

from __future__ import annotations

import io
import math
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import pytest

from greenh2._errors import StreamConsumed
from greenh2._models.body import CHUNK_SIZE, BytesBody, FileBody, IterableBody, encode_body, encode_response


class Pipe:
    """A file that cannot seek."""

    def __init__(self, *chunks: Any) -> None:
        self._chunks = [*chunks, b""]

    def read(self, size: int) -> bytes:
        chunk: bytes = self._chunks.pop(0)
        return chunk


class Counted:
    """An iterable that can be iterated again, by a generator that tells when it ends."""

    def __init__(self) -> None:
        self.ended = 0

    def __iter__(self) -> Iterator[bytes]:
        try:
            yield b"a"
            yield b"b"
        finally:
            self.ended += 1


def test_no_content_is_an_empty_body_without_headers() -> None:
    headers, body = encode_body()
    assert (headers, list(body.chunks()), body.length, body.replayable) == ([], [], 0, True)


@pytest.mark.parametrize(
    ("content", "sent"),
    [(b"abc", b"abc"), ("ü", b"\xc3\xbc"), (bytearray(b"ab"), b"ab"), (memoryview(b"ab"), b"ab")],
)
def test_content_in_memory_has_a_length_and_can_be_sent_again(content: Any, sent: bytes) -> None:
    headers, body = encode_body(content)
    assert headers == [("Content-Length", str(len(sent)))]
    assert (b"".join(body.chunks()), b"".join(body.chunks()), body.replayable) == (sent, sent, True)


@pytest.mark.parametrize("empty", [b"", ""])
def test_empty_content_has_no_headers(empty: Any) -> None:
    assert encode_body(empty)[0] == []


def test_a_generator_is_sent_in_chunks_of_unknown_length() -> None:
    headers, body = encode_body(chunk for chunk in [b"a", b"", b"bc"])
    assert headers == [("Transfer-Encoding", "chunked")]
    assert (body.length, list(body.chunks())) == (None, [b"a", b"", b"bc"])


def test_a_generator_cannot_be_sent_twice() -> None:
    body = IterableBody(chunk for chunk in [b"a"])
    list(body.chunks())
    with pytest.raises(StreamConsumed, match="iterator, is used up"):
        body.chunks()


def test_a_generator_does_not_claim_to_be_replayable() -> None:
    assert not IterableBody(iter([b"a"])).replayable


def test_a_list_can_be_sent_twice() -> None:
    body = IterableBody([b"a", b"b"])
    assert (body.replayable, list(body.chunks()), list(body.chunks())) == (True, [b"a", b"b"], [b"a", b"b"])


@pytest.mark.parametrize("chunk", [bytearray(b"a"), memoryview(b"a")])
def test_chunks_may_be_any_bytes(chunk: Any) -> None:
    assert list(IterableBody([chunk]).chunks()) == [b"a"]


def test_a_chunk_of_text_is_refused_and_told_to_encode() -> None:
    with pytest.raises(TypeError, match="yielded str, which is not bytes: encode"):
        list(IterableBody(["a"]))  # type: ignore[list-item]


def test_a_chunk_of_another_type_is_refused_by_name() -> None:
    with pytest.raises(TypeError, match=r"yielded int, which is not bytes\."):
        list(IterableBody([1]))  # type: ignore[list-item]


def test_closing_runs_the_end_of_a_generator_that_was_started() -> None:
    source = Counted()
    body = IterableBody(iter(source))
    next(body.chunks())
    body.close()
    assert source.ended == 1


def test_closing_twice_does_no_harm() -> None:
    body = IterableBody(iter(Counted()))
    next(body.chunks())
    body.close()
    body.close()


def test_closing_leaves_a_generator_alone_that_was_not_started() -> None:
    body = IterableBody(iter(Counted()))
    body.close()
    assert list(body.chunks()) == [b"a", b"b"]


def test_giving_up_the_chunks_ends_the_generator_behind_them() -> None:
    source = Counted()
    chunks = IterableBody(source).chunks()
    next(chunks)
    del chunks
    assert source.ended == 1


def test_closing_leaves_an_iterator_alone_that_is_no_generator() -> None:
    rest = iter([b"a", b"b"])
    body = IterableBody(rest)
    next(body.chunks())
    body.close()
    assert list(rest) == [b"b"]


def test_closing_from_within_the_generator_does_not_disturb_it() -> None:
    bodies: list[IterableBody] = []

    def source() -> Iterator[bytes]:
        bodies[0].close()
        yield b"a"

    bodies.append(IterableBody(source()))
    assert list(bodies[0].chunks()) == [b"a"]


def test_a_second_iteration_is_not_ended_by_the_first() -> None:
    source = Counted()
    body = IterableBody(source)
    first = body.chunks()
    next(first)
    second = body.chunks()
    next(second)
    del first
    assert list(second) == [b"b"]


def test_a_file_is_sent_from_where_it_stands() -> None:
    file = io.BytesIO(b"0123456789")
    file.seek(4)
    headers, body = encode_body(file)
    assert (headers, list(body.chunks())) == ([("Content-Length", "6")], [b"456789"])


def test_a_file_that_can_seek_can_be_sent_twice() -> None:
    body = FileBody(io.BytesIO(b"abc"))
    assert (body.replayable, list(body), list(body)) == (True, [b"abc"], [b"abc"])


def test_a_large_file_is_sent_in_chunks(tmp_path: Path) -> None:
    path = tmp_path / "large"
    path.write_bytes(b"x" * (2 * CHUNK_SIZE + 1))
    with path.open("rb") as file:
        assert [len(chunk) for chunk in FileBody(file).chunks()] == [CHUNK_SIZE, CHUNK_SIZE, 1]


def test_what_a_file_gains_after_it_was_measured_is_not_sent() -> None:
    file = io.BytesIO(b"abc")
    body = FileBody(file)
    file.write(b"abcdef")
    assert b"".join(body.chunks()) == b"abc"


def test_a_file_that_shrinks_ends_early() -> None:
    file = io.BytesIO(b"abc")
    body = FileBody(file)
    file.truncate(1)
    assert b"".join(body.chunks()) == b"a"


def test_a_file_may_be_read_for_several_requests_at_once() -> None:
    content = bytes(range(256)) * 1024
    body = FileBody(io.BytesIO(content))
    pairs = list(zip(body.chunks(), body.chunks(), strict=True))
    assert len(pairs) > 2
    assert [b"".join(pieces) for pieces in zip(*pairs, strict=True)] == [content, content]


def test_a_file_beyond_its_end_is_empty() -> None:
    file = io.BytesIO(b"abc")
    file.seek(10)
    assert FileBody(file).length == 0


def test_a_file_is_never_closed() -> None:
    file = io.BytesIO(b"abc")
    body = FileBody(file)
    list(body.chunks())
    body.close()
    assert not file.closed


def test_a_file_that_cannot_seek_is_sent_in_chunks_of_unknown_length() -> None:
    headers, body = encode_body(Pipe(b"ab", b"c"))
    assert (headers, body.replayable) == ([("Transfer-Encoding", "chunked")], False)
    assert list(body.chunks()) == [b"ab", b"c"]


def test_a_file_that_cannot_seek_cannot_be_sent_twice() -> None:
    body = FileBody(Pipe(b"ab"))
    list(body.chunks())
    with pytest.raises(StreamConsumed, match="cannot seek"):
        body.chunks()


def test_a_file_that_fails_to_seek_counts_as_one_that_cannot() -> None:
    class Unseekable(io.BytesIO):
        def seek(self, offset: int, whence: int = 0, /) -> int:
            raise io.UnsupportedOperation("seek")

    assert FileBody(Unseekable(b"a")).length is None


def test_a_file_opened_as_text_is_refused() -> None:
    with pytest.raises(TypeError, match='mode "rb"'):
        encode_body(io.StringIO("abc"))  # type: ignore[arg-type]


def test_a_file_that_reads_text_is_refused() -> None:
    with pytest.raises(TypeError, match="read str, which is not bytes: encode"):
        list(FileBody(Pipe("abc")))


@pytest.mark.parametrize("body", [BytesBody(b"a"), IterableBody([b"a"]), FileBody(io.BytesIO(b"a"))])
def test_a_body_can_be_content_itself(body: Any) -> None:
    assert encode_body(body)[1] is body


def test_bytes_have_nothing_to_close() -> None:
    body = BytesBody(b"a")
    body.close()
    assert list(body) == [b"a"]


def test_data_is_sent_as_a_form() -> None:
    headers, body = encode_body(data={"a b": "c&d", "n": [1, True, None]})
    assert headers == [("Content-Length", "23"), ("Content-Type", "application/x-www-form-urlencoded")]
    assert b"".join(body.chunks()) == b"a+b=c%26d&n=1&n=true&n="


def test_empty_data_is_no_body() -> None:
    assert encode_body(data={})[0] == []


def test_data_that_is_no_mapping_is_refused() -> None:
    with pytest.raises(TypeError, match="not bytes: use content"):
        encode_body(data=b"raw")  # type: ignore[arg-type]


def test_json_is_sent_compact_and_in_utf8() -> None:
    headers, body = encode_body(json={"a": [1, "ü"]})
    assert headers == [("Content-Length", "14"), ("Content-Type", "application/json")]
    assert b"".join(body.chunks()) == '{"a":[1,"ü"]}'.encode()


@pytest.mark.parametrize("value", [0, False, "", [], {}])
def test_json_may_be_false(value: object) -> None:
    assert encode_body(json=value)[1].length


@pytest.mark.parametrize("value", [math.nan, math.inf])
def test_json_has_no_infinity(value: float) -> None:
    with pytest.raises(ValueError, match="JSON"):
        encode_body(json=value)


@pytest.mark.parametrize(
    "several",
    [
        {"content": b"", "json": 1},
        {"content": b"a", "data": {"a": "b"}},
        {"data": {"a": "b"}, "json": 1},
    ],
)
def test_a_body_is_given_in_one_way_only(several: Any) -> None:
    with pytest.raises(TypeError, match="only one of content, data and json"):
        encode_body(**several)


@pytest.mark.parametrize("content", [5, object()])
def test_content_of_another_type_is_refused_by_name(content: Any) -> None:
    with pytest.raises(TypeError, match=f"not {type(content).__name__}"):
        encode_body(content)


def test_a_mapping_as_content_is_told_where_it_belongs() -> None:
    with pytest.raises(TypeError, match="dict is data or json"):
        encode_body({"a": "b"})  # type: ignore[dict-item]


def test_an_asynchronous_iterable_is_refused() -> None:
    async def source() -> AsyncIterator[bytes]:
        yield b"a"  # pragma: no cover

    with pytest.raises(TypeError, match="not async_generator"):
        encode_body(source())  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("parts", "content_type", "sent"),
    [
        ((None, "ü", None, None), "text/plain; charset=utf-8", "ü".encode()),
        ((None, None, "<p>", None), "text/html; charset=utf-8", b"<p>"),
        ((None, None, None, [1]), "application/json", b"[1]"),
    ],
)
def test_a_response_describes_what_it_is_made_from(parts: Any, content_type: str, sent: bytes) -> None:
    headers, body = encode_response(*parts)
    assert headers == [("Content-Length", str(len(sent))), ("Content-Type", content_type)]
    assert b"".join(body.chunks()) == sent


def test_a_response_made_from_content_has_no_type() -> None:
    assert encode_response(b"a", None, None, None)[0] == [("Content-Length", "1")]


def test_a_file_whose_seek_returns_nothing_is_measured_all_the_same() -> None:
    class Terse:
        def __init__(self, data: bytes) -> None:
            self._file = io.BytesIO(data)
            self.read, self.tell = self._file.read, self._file.tell

        def seek(self, offset: int, whence: int = 0, /) -> None:
            self._file.seek(offset, whence)

    assert FileBody(Terse(b"abc")).length == 3
