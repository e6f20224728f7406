"""Decoders: however a body is cut, and whatever it claims to be."""

from __future__ import annotations

import codecs
import gzip
import tracemalloc
import zlib
from collections.abc import Callable
from itertools import pairwise
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from greenh2._errors import DecodingError
from greenh2._models.decoders import (
    IDENTITY,
    MAX_PIECE,
    ByteChunker,
    ContentDecoder,
    DeflateDecoder,
    GzipDecoder,
    LineDecoder,
    StackedDecoder,
    TextChunker,
    TextDecoder,
    make_decoder,
)
from greenh2._models.headers import Headers

TEXT = b"Of all the things that we could say " * 40


def raw_deflate(data: bytes) -> bytes:
    deflater = zlib.compressobj(wbits=-zlib.MAX_WBITS)
    return deflater.compress(data) + deflater.flush()


def decode(decoder: ContentDecoder, *pieces: bytes) -> bytes:
    out = [part for piece in pieces for part in decoder.decode(piece)]
    return b"".join([*out, *decoder.flush()])


def cut(data: bytes, *places: int) -> list[bytes]:
    edges = [0, *sorted(places), len(data)]
    return [data[start:end] for start, end in pairwise(edges)]


def for_coding(coding: str) -> ContentDecoder:
    return make_decoder(Headers({"Content-Encoding": coding}))


@pytest.mark.parametrize("coding", ["gzip", "x-gzip", "GZip"])
def test_gzip_is_undone(coding: str) -> None:
    assert decode(for_coding(coding), gzip.compress(TEXT)) == TEXT


@pytest.mark.parametrize("encode", [zlib.compress, raw_deflate])
def test_deflate_is_undone_in_both_its_formats(encode: Callable[[bytes], bytes]) -> None:
    assert decode(for_coding("deflate"), encode(TEXT)) == TEXT


@pytest.mark.parametrize("coding", ["identity", "", "identity, identity"])
def test_identity_changes_nothing(coding: str) -> None:
    assert for_coding(coding) is IDENTITY


def test_a_response_without_content_encoding_is_not_decoded() -> None:
    assert make_decoder(Headers()) is IDENTITY


def test_identity_passes_everything_on_but_empty_pieces() -> None:
    assert list(IDENTITY.decode(b"a")) + list(IDENTITY.decode(b"")) + list(IDENTITY.flush()) == [b"a"]


def test_an_unknown_coding_is_left_as_it_is() -> None:
    assert for_coding("snappy") is IDENTITY


def test_codings_are_undone_from_the_last_to_the_first() -> None:
    data = zlib.compress(gzip.compress(TEXT))
    assert decode(for_coding("gzip, deflate"), data) == TEXT


def test_codings_may_be_given_in_several_headers() -> None:
    headers = Headers([("Content-Encoding", "gzip"), ("Content-Encoding", "deflate")])
    assert decode(make_decoder(headers), zlib.compress(gzip.compress(TEXT))) == TEXT


def test_nothing_is_undone_below_an_unknown_coding() -> None:
    assert decode(for_coding("gzip, snappy, deflate"), zlib.compress(b"snap")) == b"snap"


def test_nothing_is_undone_when_the_last_coding_is_unknown() -> None:
    assert for_coding("gzip, snappy") is IDENTITY


def test_five_codings_are_undone() -> None:
    data = TEXT
    for _ in range(5):
        data = gzip.compress(data)
    assert decode(for_coding("gzip, gzip, gzip, gzip, gzip"), data) == TEXT


def test_more_than_five_codings_are_refused() -> None:
    with pytest.raises(DecodingError, match="6 content codings"):
        for_coding("gzip, " * 6)


def test_identity_does_not_count_as_a_coding() -> None:
    assert decode(for_coding("identity, " * 9 + "gzip"), gzip.compress(TEXT)) == TEXT


class Trailing:
    """A coding that adds something when the body is complete."""

    def decode(self, data: bytes) -> list[bytes]:
        return []

    def flush(self) -> list[bytes]:
        return [gzip.compress(TEXT)]


def test_what_a_coding_holds_back_reaches_the_one_below() -> None:
    decoder = StackedDecoder(Trailing(), GzipDecoder())  # type: ignore[arg-type]
    assert decode(decoder, b"x") == TEXT


def test_members_of_gzip_follow_each_other() -> None:
    assert (
        decode(GzipDecoder(), gzip.compress(b"one ") + gzip.compress(b"") + gzip.compress(b"two"))
        == b"one two"
    )


@pytest.mark.parametrize("rest", [b"\0" * 9, b"garbage", b"\x1f", b"\x1fgarbage"])
def test_what_follows_gzip_and_is_none_is_ignored(rest: bytes) -> None:
    assert decode(GzipDecoder(), gzip.compress(TEXT) + rest) == TEXT


def test_after_garbage_nothing_is_decoded_any_more() -> None:
    assert decode(GzipDecoder(), gzip.compress(b"a") + b"garbage", gzip.compress(b"b")) == b"a"


def test_what_follows_deflate_is_ignored() -> None:
    assert decode(DeflateDecoder(), zlib.compress(TEXT) + b"rest", b"more") == TEXT


@pytest.mark.parametrize("decoder", [GzipDecoder, DeflateDecoder])
def test_an_empty_body_is_no_error(decoder: Callable[[], ContentDecoder]) -> None:
    assert decode(decoder()) == b""
    assert decode(decoder(), b"", b"") == b""


@pytest.mark.parametrize(
    ("coding", "data"),
    [
        ("gzip", gzip.compress(TEXT)),
        ("deflate", zlib.compress(TEXT)),
        ("deflate", raw_deflate(TEXT)),
        ("gzip, deflate", zlib.compress(gzip.compress(TEXT))),
    ],
)
def test_a_body_that_ends_too_early_is_an_error(coding: str, data: bytes) -> None:
    for length in range(1, len(data)):
        with pytest.raises(DecodingError, match="in the middle"):
            decode(for_coding(coding), data[:length])


def test_a_last_member_that_ends_too_early_is_an_error() -> None:
    with pytest.raises(DecodingError, match="in the middle of its gzip data"):
        decode(GzipDecoder(), gzip.compress(TEXT) + gzip.compress(TEXT)[:-1])


@pytest.mark.parametrize("coding", ["gzip", "deflate"])
def test_a_body_that_is_something_else_is_an_error(coding: str) -> None:
    with pytest.raises(DecodingError, match=f"not the {coding} data"):
        decode(for_coding(coding), b"<html>this is not compressed at all</html>")


def test_a_wrong_checksum_is_an_error() -> None:
    data = bytearray(gzip.compress(TEXT))
    data[-8] ^= 1
    with pytest.raises(DecodingError, match="incorrect data check"):
        decode(GzipDecoder(), bytes(data))


@pytest.mark.parametrize("size", [MAX_PIECE - 1, MAX_PIECE, MAX_PIECE + 1, 3 * MAX_PIECE])
def test_pieces_are_bounded(size: int) -> None:
    data = b"\0" * size
    pieces = list(GzipDecoder().decode(gzip.compress(data)))
    assert (b"".join(pieces) == data, max(map(len, pieces)) <= MAX_PIECE) == (True, True)


def test_a_bomb_never_lies_in_memory_at_once() -> None:
    size = 64 * 2**20
    bomb = gzip.compress(gzip.compress(bytes(size)))
    tracemalloc.start()
    try:
        total = sum(len(piece) for piece in for_coding("gzip, gzip").decode(bomb))
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert (total, peak < 8 * 2**20) == (size, True)


BODIES = {
    "gzip": gzip.compress(TEXT),
    "gzip of two members": gzip.compress(TEXT[:700]) + gzip.compress(TEXT[700:]),
    "gzip and garbage": gzip.compress(TEXT) + b"\x1f garbage",
    "deflate": zlib.compress(TEXT),
    "deflate raw": raw_deflate(TEXT),
}


@pytest.mark.parametrize("name", BODIES)
@settings(deadline=None)
@given(data=st.data())
def test_it_does_not_matter_where_a_body_is_cut(name: str, data: st.DataObject) -> None:
    body = BODIES[name]
    places = data.draw(st.lists(st.integers(0, len(body)), max_size=8))
    assert decode(for_coding(name.split()[0]), *cut(body, *places)) == TEXT


@pytest.mark.parametrize("name", BODIES)
def test_a_body_may_come_byte_by_byte(name: str) -> None:
    body = BODIES[name]
    assert decode(for_coding(name.split()[0]), *cut(body, *range(1, len(body)))) == TEXT


@settings(deadline=None)
@given(st.text(st.characters(codec="utf-8")), st.sampled_from(["utf-8", "utf-16", "utf-32-be"]), st.data())
def test_it_does_not_matter_where_text_is_cut(text: str, encoding: str, data: st.DataObject) -> None:
    body = text.encode(encoding)
    places = data.draw(st.lists(st.integers(0, len(body)), max_size=8))
    decoder = TextDecoder(encoding)
    decoded = [decoder.decode(piece) for piece in cut(body, *places)]
    assert "".join([*decoded, decoder.flush()]) == text


def test_what_is_no_text_is_replaced() -> None:
    decoder = TextDecoder("utf-8")
    assert decoder.decode(b"a\xffb\xc3") + decoder.flush() == "a\ufffdb\ufffd"


def test_an_unknown_encoding_is_a_lookup_error() -> None:
    with pytest.raises(LookupError):
        TextDecoder("no-such-encoding")


@pytest.mark.parametrize("encoding", ["utf-16", "UTF16", "utf-32"])
@pytest.mark.parametrize("order", ["le", "be"])
def test_text_without_a_byte_order_mark_is_decoded_as_bytes_are(encoding: str, order: str) -> None:
    data = "aü\u20ac".encode(f"{codecs.lookup(encoding).name}-{order}")
    decoder = TextDecoder(encoding)
    text = "".join(decoder.decode(data[place : place + 1]) for place in range(len(data)))
    assert text + decoder.flush() == data.decode(encoding, "replace")


def lines_of(*pieces: str) -> list[str]:
    decoder = LineDecoder()
    return [*[line for piece in pieces for line in decoder.decode(piece)], *decoder.flush()]


@pytest.mark.parametrize(
    ("pieces", "lines"),
    [
        (["a\nb\r\nc\rd"], ["a", "b", "c", "d"]),
        (["a\r", "\nb"], ["a", "b"]),
        (["a\r", "b"], ["a", "b"]),
        (["a\r"], ["a"]),
        (["\r"], [""]),
        (["\r", "\r\n"], ["", ""]),
        (["\n"], [""]),
        (["a", "b", "c\n", "d"], ["abc", "d"]),
        (["a\u2028b\x85c"], ["a", "b", "c"]),
        (["", ""], []),
    ],
)
def test_text_is_split_into_lines(pieces: list[str], lines: list[str]) -> None:
    assert lines_of(*pieces) == lines


def test_lines_are_handed_out_as_soon_as_they_end() -> None:
    decoder = LineDecoder()
    assert [decoder.decode("a\nb"), decoder.decode("c\n"), decoder.flush()] == [["a"], ["bc"], []]


@settings(deadline=None)
@given(st.lists(st.text("ab\r\n\u2028", max_size=5)))
def test_it_does_not_matter_where_lines_are_cut(pieces: list[str]) -> None:
    assert lines_of(*pieces) == "".join(pieces).splitlines()


@settings(deadline=None)
@given(st.lists(st.binary(max_size=9)), st.integers(1, 7))
def test_bytes_are_cut_into_chunks_of_one_size(pieces: list[bytes], size: int) -> None:
    chunker = ByteChunker(size)
    chunks = [chunk for piece in pieces for chunk in chunker.decode(piece)]
    assert {len(chunk) for chunk in chunks} <= {size}
    rest = chunker.flush()
    assert (b"".join(chunks + rest), len(b"".join(rest)) < size) == (b"".join(pieces), True)


@settings(deadline=None)
@given(st.lists(st.text(max_size=9)), st.integers(1, 7))
def test_text_is_cut_into_chunks_of_one_size(pieces: list[str], size: int) -> None:
    chunker = TextChunker(size)
    chunks = [chunk for piece in pieces for chunk in chunker.decode(piece)]
    assert {len(chunk) for chunk in chunks} <= {size}
    rest = chunker.flush()
    assert ("".join(chunks + rest), len("".join(rest)) < size) == ("".join(pieces), True)


def test_without_a_size_pieces_are_left_as_they_are() -> None:
    of_bytes, of_text = ByteChunker(), TextChunker()
    assert [of_bytes.decode(b"ab"), of_bytes.decode(b""), of_bytes.flush()] == [[b"ab"], [], []]
    assert [of_text.decode("ab"), of_text.decode(""), of_text.flush()] == [["ab"], [], []]


@pytest.mark.parametrize("chunker", [ByteChunker, TextChunker])
@pytest.mark.parametrize("size", [0, -1])
def test_a_chunk_has_at_least_one_byte_or_character(chunker: Callable[[int], object], size: int) -> None:
    with pytest.raises(ValueError, match="1 or more"):
        chunker(size)


@pytest.mark.parametrize("size", ["8", 1.5])
def test_a_chunk_has_a_whole_number_of_bytes(size: Any) -> None:
    with pytest.raises(
        TypeError, match=f"chunk_size is a number of bytes or characters, or None, not {size!r}"
    ):
        ByteChunker(size)
