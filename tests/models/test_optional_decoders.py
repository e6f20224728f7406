"""The decoders for br and zstd: as strict and as bounded as the others, and absent without their packages."""

from __future__ import annotations

import gzip
import random
import sys
import tracemalloc
from collections.abc import Iterator
from itertools import pairwise
from types import ModuleType
from typing import Any

import brotli
import brotlicffi
import pytest
import zstandard
from hypothesis import given
from hypothesis import strategies as st

import greenh2
from greenh2 import _defaults
from greenh2._models import optional_decoders
from greenh2._models.bounds import FREE_OF_RATIO, MAX_RATIO
from greenh2._models.decoders import IDENTITY, MAX_PIECE, ContentDecoder, make_decoder
from greenh2._models.headers import Headers
from greenh2._models.optional_decoders import BrotliDecoder, ZstdDecoder
from tests.client.answers import Answers, Pieces

TEXT = b"Of all the things that we could say " * 40
URL = "https://a.example/"


def zstd(data: bytes) -> bytes:
    return zstandard.ZstdCompressor().compress(data)


def br(data: bytes) -> bytes:
    packed: bytes = brotli.compress(data, quality=5)
    return packed


PACK = {"br": br, "zstd": zstd}


def decode(decoder: ContentDecoder, *pieces: bytes) -> bytes:
    out = [part for piece in pieces for part in decoder.decode(piece)]
    return b"".join([*out, *decoder.flush()])


def for_coding(coding: str) -> ContentDecoder:
    return make_decoder(Headers({"Content-Encoding": coding}))


@pytest.fixture
def looks_again() -> Iterator[None]:
    """Let what is installed be looked for anew, now and after the test."""
    caches = (optional_decoders._brotli, optional_decoders.optional_decoders, _defaults._own_headers)
    for cached in caches:
        cached.cache_clear()
    yield
    for cached in caches:
        cached.cache_clear()


@pytest.fixture(params=[brotli, brotlicffi], ids=lambda package: package.__name__)
def package(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Any:
    monkeypatch.setattr(optional_decoders, "_brotli", lambda: request.param)
    return request.param


def test_br_is_undone(package: Any) -> None:
    assert decode(for_coding("br"), br(TEXT)) == TEXT
    assert decode(for_coding("BR"), *[bytes([byte]) for byte in br(TEXT)]) == TEXT


def test_zstd_is_undone() -> None:
    assert decode(for_coding("zstd"), zstd(TEXT)) == TEXT
    assert decode(for_coding("zstd"), *[bytes([byte]) for byte in zstd(TEXT)]) == TEXT


def test_frames_of_zstd_follow_each_other() -> None:
    skippable = b"\x50\x2a\x4d\x18" + (3).to_bytes(4, "little") + b"abc"
    body = zstd(b"one ") + zstd(b"") + skippable + zstd(b"two")
    assert decode(ZstdDecoder(), body) == b"one two"
    assert decode(ZstdDecoder(), *[bytes([byte]) for byte in body]) == b"one two"


@pytest.mark.parametrize("coding", PACK)
def test_an_empty_body_is_no_error(coding: str) -> None:
    assert decode(for_coding(coding)) == b""
    assert decode(for_coding(coding), b"", b"") == b""


def test_br_that_ends_too_early_is_an_error(package: Any) -> None:
    body = br(TEXT)
    for length in range(1, len(body)):
        with pytest.raises(greenh2.DecodingError, match="in the middle of its br data"):
            decode(BrotliDecoder(), body[:length])


def test_zstd_that_ends_too_early_is_an_error() -> None:
    body = zstd(TEXT)
    for length in range(1, len(body)):
        with pytest.raises(greenh2.DecodingError, match="in the middle of its zstd data"):
            decode(ZstdDecoder(), body, body[:length])


def test_what_is_no_br_is_an_error(package: Any) -> None:
    with pytest.raises(greenh2.DecodingError, match="not the br data"):
        decode(BrotliDecoder(), b"<html>this is not compressed at all</html>")


def test_what_follows_br_is_an_error_wherever_it_is_cut(package: Any) -> None:
    for pieces in ([br(TEXT) + b"rest"], [br(TEXT), b"rest"]):
        with pytest.raises(greenh2.DecodingError, match="not the br data"):
            decode(BrotliDecoder(), *pieces)


@pytest.mark.parametrize("body", [b"<html>", zstd(TEXT) + b"rest"])
def test_what_is_no_zstd_is_an_error(body: bytes) -> None:
    for pieces in ([body], [bytes([byte]) for byte in body]):
        with pytest.raises(greenh2.DecodingError, match="not the zstd data"):
            decode(ZstdDecoder(), *pieces)


def test_a_frame_that_wants_more_memory_than_a_server_may_ask_for_is_refused() -> None:
    parameters = zstandard.ZstdCompressionParameters(window_log=24)
    packer = zstandard.ZstdCompressor(compression_params=parameters).compressobj()
    with pytest.raises(greenh2.DecodingError, match="too much memory"):
        decode(ZstdDecoder(), packer.compress(TEXT) + packer.flush())


@pytest.mark.parametrize("coding", PACK)
@given(data=st.data())
def test_it_does_not_matter_where_a_body_is_cut(coding: str, data: st.DataObject) -> None:
    noise = random.Random(7).randbytes(500)
    body = PACK[coding](TEXT + noise)
    edges = [0, *sorted(data.draw(st.lists(st.integers(0, len(body)), max_size=8))), len(body)]
    assert decode(for_coding(coding), *[body[start:end] for start, end in pairwise(edges)]) == TEXT + noise


@pytest.mark.parametrize("coding", PACK)
@given(data=st.data())
def test_whatever_comes_is_decoded_or_a_decoding_error(coding: str, data: st.DataObject) -> None:
    body = bytearray(PACK[coding](TEXT))
    for place in data.draw(st.lists(st.integers(0, len(body) - 1), min_size=1, max_size=4)):
        body[place] = data.draw(st.integers(0, 255))
    for packed in (bytes(body), data.draw(st.binary(max_size=64))):
        try:
            decode(for_coding(coding), packed[:9], packed[9:])
        except greenh2.DecodingError as error:
            assert coding in str(error)


def test_pieces_of_br_are_bounded(package: Any) -> None:
    size = 2**21 + 1
    pieces = list(BrotliDecoder().decode(br(bytes(size))))
    assert (sum(map(len, pieces)), max(map(len, pieces)) <= MAX_PIECE) == (size, True)


@pytest.mark.parametrize("size", [MAX_PIECE // 2, MAX_PIECE, 2**23 + 1])
def test_pieces_of_zstd_are_bounded(size: int) -> None:
    pieces = list(ZstdDecoder().decode(zstd(bytes(size))))
    assert (sum(map(len, pieces)), max(map(len, pieces)) <= MAX_PIECE) == (size, True)


@pytest.mark.parametrize("coding", PACK)
def test_a_bomb_never_lies_in_memory_at_once(coding: str) -> None:
    size = 64 * 2**20
    bomb = PACK[coding](PACK[coding](bytes(size)))
    tracemalloc.start()
    try:
        total = sum(len(piece) for piece in for_coding(f"{coding}, {coding}").decode(bomb))
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert (total, peak < 8 * 2**20) == (size, True)


@pytest.mark.parametrize("coding", PACK)
def test_a_bomb_is_cut(coding: str) -> None:
    body = Pieces(PACK[coding](bytes(20 * FREE_OF_RATIO)), b"never pulled")
    response = greenh2.Response(200, headers={"Content-Encoding": coding}, stream=body)
    with (
        greenh2.Client(transport=Answers(response)) as client,
        pytest.raises(greenh2.DecodingError, match=f"over {MAX_RATIO} times as many"),
    ):
        client.get(URL)
    assert (body.closed, body.given) == (True, 1)


@pytest.mark.parametrize("coding", PACK)
def test_what_is_decoded_counts_against_max_response_bytes(coding: str) -> None:
    body = Pieces(PACK[coding](bytes(1000)))
    response = greenh2.Response(200, headers={"Content-Encoding": coding}, stream=body)
    with (
        greenh2.Client(transport=Answers(response), max_response_bytes=999) as client,
        pytest.raises(greenh2.ResponseTooLarge, match="once it is decoded"),
    ):
        client.get(URL)
    assert body.closed


def test_codings_of_all_kinds_lie_upon_each_other() -> None:
    assert decode(for_coding("gzip, br, zstd"), zstd(br(gzip.compress(TEXT)))) == TEXT
    with pytest.raises(greenh2.DecodingError, match="6 content codings"):
        for_coding("br, zstd, " * 3)


def test_what_is_installed_is_asked_for(looks_again: None) -> None:
    assert greenh2.Client().headers["accept-encoding"] == "gzip, deflate, br, zstd"


def test_without_the_packages_nothing_is_asked_for_or_undone(
    looks_again: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "brotli", None)
    monkeypatch.setitem(sys.modules, "brotlicffi", None)
    monkeypatch.setattr(optional_decoders, "find_spec", lambda name: None)
    assert greenh2.Client().headers["accept-encoding"] == "gzip, deflate"
    for coding in PACK:
        assert for_coding(coding) is IDENTITY
        response = greenh2.Response(200, headers={"Content-Encoding": coding}, content=b"as it came")
        assert response.content == b"as it came"


def test_brotlicffi_stands_in_for_brotli(looks_again: None, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "brotli", None)
    assert isinstance(for_coding("br"), BrotliDecoder)
    assert optional_decoders._brotli() is brotlicffi


def test_a_brotli_that_cannot_be_bounded_is_not_used(
    looks_again: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    old = ModuleType("brotli")
    old.Decompressor = type("Decompressor", (), {})  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "brotli", old)
    monkeypatch.setitem(sys.modules, "brotlicffi", None)
    assert greenh2.Client().headers["accept-encoding"] == "gzip, deflate, zstd"
    assert for_coding("br") is IDENTITY
