"""Header compression: bounded on both sides, and in step with a peer's tables."""

from __future__ import annotations

from time import perf_counter

import pytest
from h2.errors import ErrorCodes
from hpack import Decoder, Encoder

from greenh2._protocol.events import RequestHead
from greenh2._protocol.fields import request_fields
from greenh2._protocol.frames import MAX_HEADER_BLOCK, FrameViolation
from greenh2._protocol.hpack import MAX_DECODED_BLOCK, MAX_ENCODER_TABLE, BlockDecoder, BoundedEncoder

FIELDS = [(b":status", b"200"), (b"x-name", b"some value")]


def test_a_block_is_decoded_to_plain_pairs_of_bytes() -> None:
    fields = BlockDecoder().decode(Encoder().encode(FIELDS))
    assert fields == FIELDS
    assert {type(field) for field in fields} == {tuple}


def test_the_decoder_remembers_from_block_to_block() -> None:
    encoder, decoder = Encoder(), BlockDecoder()
    decoder.decode(encoder.encode(FIELDS))
    second = encoder.encode(FIELDS)
    assert len(second) == 2
    assert decoder.decode(second) == FIELDS


@pytest.mark.parametrize(
    "block",
    [
        b"\xff\xff\xff\xff\xff\xff\xff",  # an endless index
        b"\x80",  # index 0
        b"\xbe",  # an index beyond both tables
        b"\x40\x05ab",  # a name cut short
        b"\x40\x01a",  # a value missing
        b"\x40",  # nothing after the first byte
        b"\x3f\xe1\x7f",  # a table larger than was allowed
        b"\x88\x20",  # a change of the table's size after a field
        b"\x40\x81\xff\x00",  # Huffman code that ends nowhere
    ],
)
def test_what_cannot_be_decoded_is_a_compression_error(block: bytes) -> None:
    with pytest.raises(FrameViolation) as caught:
        BlockDecoder().decode(block)
    assert caught.value.code == ErrorCodes.COMPRESSION_ERROR
    assert caught.value.__cause__ is not None


def test_the_message_of_a_compression_error_does_not_quote_the_block() -> None:
    with pytest.raises(FrameViolation) as caught:
        BlockDecoder().decode(b"\x40\x06secret\x7f\xff\xff\xff\xff\xff\xff\xff\xff")
    assert "secret" not in str(caught.value)


def test_a_block_that_unpacks_beyond_all_measure_is_refused() -> None:
    decoder = BlockDecoder()
    decoder.decode(Encoder().encode([(b"a", b"x" * 4000)]))  # now one byte says all this
    with pytest.raises(FrameViolation) as caught:
        decoder.decode(b"\xbe" * (MAX_DECODED_BLOCK // 4000))
    assert caught.value.code == ErrorCodes.ENHANCE_YOUR_CALM


def test_the_worst_block_that_may_arrive_is_decoded_in_bounded_time() -> None:
    started = perf_counter()
    with pytest.raises(FrameViolation):
        BlockDecoder().decode(b"\x04\x00" * (MAX_HEADER_BLOCK // 2))
    assert perf_counter() - started < 5


@pytest.mark.parametrize("size", [0, 100, MAX_ENCODER_TABLE])
def test_the_encoder_s_table_is_as_large_as_the_peer_allows(size: int) -> None:
    encoder = BoundedEncoder()
    encoder.header_table_size = size
    assert encoder.header_table_size == size


def test_the_encoder_s_table_does_not_grow_to_whatever_the_peer_allows() -> None:
    encoder = BoundedEncoder()
    encoder.header_table_size = 2**32 - 1
    assert encoder.header_table_size == MAX_ENCODER_TABLE


def test_a_change_of_the_table_is_told_before_the_next_fields() -> None:
    encoder = BoundedEncoder()
    encoder.header_table_size = 0
    assert encoder.encode(FIELDS).startswith(b"\x20")


def test_a_size_that_changes_nothing_is_not_told() -> None:
    encoder = BoundedEncoder()
    encoder.header_table_size = 2**20
    assert encoder.encode(FIELDS) == Encoder().encode(FIELDS)


def test_every_change_since_the_last_fields_is_told() -> None:
    encoder = BoundedEncoder()
    for size in (100, 2**16, 2**17):
        encoder.header_table_size = size
    assert encoder.encode(FIELDS).startswith(b"\x3f\x45\x3f\xe1\x1f")  # 100, then 4,096


def test_a_change_is_told_also_if_the_same_size_is_set_twice() -> None:
    encoder = BoundedEncoder()
    encoder.header_table_size = 0
    encoder.header_table_size = 0
    assert encoder.encode(FIELDS).startswith(b"\x20")


def test_a_decoder_stays_in_step_through_all_changes() -> None:
    encoder, decoder = BoundedEncoder(), Decoder()
    for size in (4096, 50, 50, 4096, 0, 2**20, 200):
        encoder.header_table_size = size
        assert decoder.decode(encoder.encode(FIELDS), raw=True) == FIELDS


def test_a_secret_leaves_no_trace_in_the_table() -> None:
    encoder = BoundedEncoder()
    head = RequestHead(b"GET", b"https", b"example.org", b"/", [(b"authorization", b"Basic c2VjcmV0")])
    first = encoder.encode(request_fields(head))
    assert (b"authorization", b"Basic c2VjcmV0") not in encoder.header_table.dynamic_entries
    assert b"\x1f\x08" in first  # literal, never indexed, with the static table's name
