"""Header compression: bounded on both sides, and in step with a peer's tables."""

from __future__ import annotations

from contextlib import suppress
from time import process_time

import pytest
from h2.errors import ErrorCodes
from hpack import Decoder, Encoder, HPACKError
from hypothesis import given
from hypothesis import strategies as st

from greenh2._protocol.events import Fields, RequestHead
from greenh2._protocol.fields import pseudo_fields
from greenh2._protocol.frames import MAX_HEADER_BLOCK, FrameViolation
from greenh2._protocol.hpack import (
    MAX_DECODED_BLOCK,
    MAX_ENCODER_TABLE,
    MAX_INDEXED_FIELD,
    MAX_RESIZES,
    BlockDecoder,
    BlockEncoder,
    BoundedEncoder,
)
from greenh2._protocol.memory import MAX_SHARED, MAX_STATES, Memory

FIELDS = [(b":status", b"200"), (b"x-name", b"some value")]


def test_a_block_is_decoded_to_plain_pairs_of_bytes() -> None:
    fields = BlockDecoder(Memory()).decode(Encoder().encode(FIELDS)).fields
    assert fields == FIELDS
    assert {type(field) for field in fields} == {tuple}


def test_the_decoder_remembers_from_block_to_block() -> None:
    encoder, decoder = Encoder(), BlockDecoder(Memory())
    decoder.decode(encoder.encode(FIELDS))
    second = encoder.encode(FIELDS)
    assert len(second) == 2
    assert decoder.decode(second).fields == FIELDS


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
        BlockDecoder(Memory()).decode(block)
    assert caught.value.code == ErrorCodes.COMPRESSION_ERROR
    assert caught.value.__cause__ is not None


def test_the_message_of_a_compression_error_does_not_quote_the_block() -> None:
    with pytest.raises(FrameViolation) as caught:
        BlockDecoder(Memory()).decode(b"\x40\x06secret\x7f\xff\xff\xff\xff\xff\xff\xff\xff")
    assert "secret" not in str(caught.value)


def test_a_block_that_unpacks_beyond_all_measure_is_refused() -> None:
    decoder = BlockDecoder(Memory())
    decoder.decode(Encoder().encode([(b"a", b"x" * 4000)]))  # now one byte says all this
    with pytest.raises(FrameViolation) as caught:
        decoder.decode(b"\xbe" * (MAX_DECODED_BLOCK // 4000 + 1))
    assert caught.value.code == ErrorCodes.ENHANCE_YOUR_CALM


@pytest.mark.parametrize(
    "piece",
    [
        b"\x04\x00",  # no value
        Encoder().add((b"a", b"\\" * 20), sensitive=False),  # the longest codes for what is text
        Encoder().add((b"a", b"\x16" * 20), sensitive=True),  # the longest of all
        b"\x40\x01a\x00",  # entries for the table
        b"\x20",  # sizes for it
    ],
)
def test_the_worst_blocks_that_may_arrive_are_decoded_in_bounded_time(piece: bytes) -> None:
    block = piece * (MAX_HEADER_BLOCK // len(piece))
    started = process_time()
    with suppress(FrameViolation):
        BlockDecoder(Memory()).decode(block)
    assert process_time() - started < 1.0  # some 30 ms


@pytest.mark.parametrize("resize", [b"\x20", b"\x3e", b"\x3f\xe1\x1f"])
def test_a_block_that_resizes_the_table_again_and_again_is_refused(resize: bytes) -> None:
    decoder = BlockDecoder(Memory())
    assert decoder.decode(resize * MAX_RESIZES + b"\x88").fields == [(b":status", b"200")]
    with pytest.raises(FrameViolation) as caught:
        decoder.decode(resize * (MAX_RESIZES + 1) + b"\x88")
    assert caught.value.code == ErrorCodes.ENHANCE_YOUR_CALM


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


@pytest.mark.parametrize(
    ("sizes", "told"),
    [
        ((100, 2**16, 2**17), b"\x3f\x45\x3f\xe1\x1f"),  # 100, then 4,096
        ((0, 4096, 1), b"\x20\x21"),
        ((100, 1), b"\x21"),
        ((50, 100, 60), b"\x3f\x13\x3f\x1d"),
        ((0, 1) * 5000, b"\x20\x21"),
    ],
)
def test_of_all_changes_since_the_last_fields_the_least_and_the_last_are_told(
    sizes: tuple[int, ...], told: bytes
) -> None:
    encoder, decoder = BoundedEncoder(), Decoder()
    for size in sizes:
        encoder.header_table_size = size
    decoder.max_allowed_table_size = encoder.header_table_size  # a larger one would be refused
    block = encoder.encode(FIELDS)
    assert block == told + Encoder().encode(FIELDS)
    assert decoder.decode(block, raw=True) == FIELDS


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


def pseudo(path: bytes = b"/") -> Fields:
    return pseudo_fields(RequestHead(b"GET", b"https", b"example.org", path, []), None)


def encode(encoder: BlockEncoder, *fields: tuple[bytes, bytes], path: bytes = b"/") -> bytes:
    return encoder.block(pseudo(path), encoder.regular(list(fields)))


def test_a_secret_leaves_no_trace_in_the_table() -> None:
    encoder = BlockEncoder(Memory())
    for _ in range(3):
        block = encode(encoder, (b"authorization", b"Basic c2VjcmV0"))
    assert (b"authorization", b"Basic c2VjcmV0") not in encoder.header_table.dynamic_entries
    assert b"\x1f\x08" in block  # literal, never indexed, with the static table's name


def test_paths_and_fields_that_are_met_once_leave_the_table_alone() -> None:
    encoder = BlockEncoder(Memory())
    for number in range(20):
        encode(encoder, (b"x-request-id", b"%d" % number), path=b"/%d" % number)
    assert list(encoder.header_table.dynamic_entries) == [(b":authority", b"example.org")]


def test_a_request_that_is_sent_again_takes_a_byte_a_field() -> None:
    encoder = BlockEncoder(Memory())
    fields = [(b"accept", b"*/*"), (b"user-agent", b"somebody")]
    blocks = [encode(encoder, *fields) for _ in range(4)]
    assert len(blocks[0]) > len(pseudo() + fields)
    assert [len(block) for block in blocks[2:]] == [len(pseudo() + fields)] * 2


def test_fields_that_were_sent_before_are_not_looked_at_again() -> None:
    encoder = BlockEncoder(Memory())
    fields = [(b"Accept", b"*/*")]
    assert encoder.regular(fields) is encoder.regular(fields.copy())
    large = [(b"x-large", b"x" * MAX_SHARED)]
    assert encoder.regular(large) is not encoder.regular(large)


def test_what_is_remembered_of_requests_is_bounded() -> None:
    encoder = BlockEncoder(Memory())
    first = encoder.regular([(b"x-number", b"0" * 1000)])
    for number in range(1, MAX_SHARED // 1000):
        encoder.regular([(b"x-number", b"%d" % number * 1000)])
    assert encoder.regular([(b"x-number", b"0" * 1000)]) is not first


def test_a_request_of_more_fields_than_the_table_holds_is_encoded_once_and_leaves_the_table_to_others() -> (
    None
):
    encoder, decoder = BlockEncoder(Memory()), Decoder()
    few, many = [(b"x-few", b"1")], [(b"x-number-%d" % number, b"x" * 20) for number in range(100)]
    sections = [few, few, many, few, many]
    blocks = [encode(encoder, *fields) for fields in sections]
    assert [decoder.decode(block, raw=True) for block in blocks] == [pseudo() + fields for fields in sections]
    assert blocks[3] != blocks[1]  # an entry of the table by now
    assert blocks[2] == blocks[4]
    assert (b"x-few", b"1") in encoder.header_table.dynamic_entries
    assert not any(name.startswith(b"x-number") for name, _ in encoder.header_table.dynamic_entries)


def test_a_field_larger_than_the_table_can_hold_for_long_never_enters_it() -> None:
    encoder = BlockEncoder(Memory())
    for _ in range(3):
        encode(encoder, (b"x-large", b"x" * MAX_INDEXED_FIELD))
    assert b"x-large" not in dict(encoder.header_table.dynamic_entries)


NAMES = st.sampled_from([b"x-a", b"x-b", b"accept", b"cookie", b"authorization", b"x-c"])
VALUES = st.one_of(st.sampled_from([b"", b"1", b"two", b"x" * 600]), st.binary(max_size=8))
REQUESTS = st.lists(
    st.tuples(
        st.integers(0, 2),
        st.sampled_from([b"/", b"/a", b"/b?c=d"]),
        st.lists(st.tuples(NAMES, VALUES), max_size=5),
        st.none() | st.sampled_from([0, 60, 200, 4096, 2**20]),
    ),
    max_size=40,
)


@given(REQUESTS)
def test_what_is_remembered_says_to_any_decoder_what_was_meant(
    requests: list[tuple[int, bytes, list[tuple[bytes, bytes]], int | None]],
) -> None:
    memory = Memory()
    connections = [(BlockEncoder(memory), Decoder()) for _ in range(3)]
    for number, path, fields, size in requests:
        encoder, decoder = connections[number]
        if size is not None:
            encoder.header_table_size = size
        assert decoder.decode(encode(encoder, *fields, path=path), raw=True) == pseudo(path) + fields


def test_what_a_table_is_owed_goes_when_the_peer_has_it_emptied() -> None:
    memory = Memory()
    fields = [(b"x-team", b"tea")]
    first = BlockEncoder(memory)
    for _ in range(3):
        encode(first, *fields)
    encoder, decoder = BlockEncoder(memory), Decoder()
    said = [encode(encoder, *fields)]
    encoder.header_table_size = 0
    encoder.header_table_size = MAX_ENCODER_TABLE
    said += [encode(encoder, *fields) for _ in range(2)]
    assert [decoder.decode(block, raw=True) for block in said] == [pseudo() + fields] * 3


def test_requests_that_change_the_table_without_end_are_encoded_rightly_on_new_connections_too() -> None:
    memory = Memory()
    for _ in range(3):
        encoder, decoder = BlockEncoder(memory), Decoder()
        for number in range(2 * MAX_STATES):
            for fields in ([(b"x-number", b"%d" % number)],) * 3:
                assert decoder.decode(encode(encoder, *fields), raw=True) == pseudo() + fields


def test_a_state_that_a_quiet_connection_holds_does_not_hold_all_that_come_after_it() -> None:
    memory = Memory()
    quiet, busy = memory.empty_table, BlockEncoder(memory)
    for number in range(4 * MAX_STATES):
        for _ in range(2):
            encode(busy, (b"x-number", b"%d" % number))
    held, left = 0, [quiet]
    while left:
        held += 1
        left += [state for _, state in left.pop().pieces.values() if state is not None]
    assert held == MAX_STATES + 1


def test_a_connection_whose_table_holds_what_another_s_does_takes_its_blocks_from_it() -> None:
    memory = Memory()
    fields = [(b"x-team", b"tea"), (b"accept", b"*/*")]
    first, second = BlockEncoder(memory), BlockEncoder(memory)
    blocks = [encode(first, *fields) for _ in range(4)]
    assert [encode(second, *fields) for _ in range(3)] == blocks[1:]
    assert not second.header_table.dynamic_entries
    encode(second, (b"x-new", b"1"))
    assert list(second.header_table.dynamic_entries) == list(first.header_table.dynamic_entries)


@given(st.lists(st.lists(st.tuples(NAMES, VALUES), max_size=4), max_size=40), st.data())
def test_a_remembered_block_is_decoded_as_hpack_decodes_it(
    sections: list[list[tuple[bytes, bytes]]], data: st.DataObject
) -> None:
    encoder, decoder, judge = Encoder(), BlockDecoder(Memory()), Decoder()
    for section in sections:
        if data.draw(st.integers(0, 9)) == 0:
            encoder.header_table_size = data.draw(st.sampled_from([0, 60, 4096]))
        block = encoder.encode([(name, value, data.draw(st.booleans())) for name, value in section])
        for _ in range(data.draw(st.integers(1, 3)) if not encoder.header_table.resized else 1):
            try:
                expected = [tuple(field) for field in judge.decode(block, raw=True)]
            except HPACKError:  # said again, it refers to what it has pushed out of the table itself
                with pytest.raises(FrameViolation):
                    decoder.decode(block)
                return
            assert decoder.decode(block).fields == expected


def test_a_block_said_again_that_pushed_out_what_it_refers_to_is_refused() -> None:
    encoder, decoder = Encoder(), BlockDecoder(Memory())
    encoder.header_table_size = 60
    decoder.decode(encoder.encode([(b"x-a", b"")]))
    block = encoder.encode([(b"x-a", b"x" * 600)])
    decoder.decode(block)
    with pytest.raises(FrameViolation):
        decoder.decode(block)


def _block(number: int) -> bytes:
    return Encoder().encode([(b"x-number", b"%d" % number, True)])


def test_a_block_that_is_said_again_is_not_decoded_again() -> None:
    decoder = BlockDecoder(Memory())
    assert decoder.decode(_block(1)) is decoder.decode(_block(1))


def test_a_block_that_needs_no_table_is_remembered_after_one_that_does() -> None:
    decoder = BlockDecoder(Memory())
    decoder.decode(b"\x40\x01a\x011")
    decoder.decode(b"\xbe")
    section = decoder.decode(_block(1))
    decoder.decode(b"\x7e\x012")  # adds a field to the table, by a name in it
    assert decoder.decode(_block(1)) is section


def test_only_so_many_blocks_are_remembered() -> None:
    decoder = BlockDecoder(Memory())
    first = decoder.decode(_block(0))
    sections = [decoder.decode(_block(number)) for number in range(1, MAX_SHARED // 32)]
    assert [section.fields for section in sections[:2]] == [[(b"x-number", b"1")], [(b"x-number", b"2")]]
    again = decoder.decode(_block(0))
    assert again is not first
    assert again.fields == first.fields


def test_a_remembered_block_that_refers_to_the_table_gives_way_to_what_others_add() -> None:
    decoder = BlockDecoder(Memory())
    first, second, newest = b"\x40\x01a\x011", b"\x40\x01b\x012", b"\xbe"
    said = [decoder.decode(block).fields for block in (first, second, newest, first, newest)]
    assert said[2] == [(b"b", b"2")]
    assert said[4] == [(b"a", b"1")]


def test_a_block_that_refers_to_the_table_says_something_new_when_the_table_has_changed() -> None:
    encoder, decoder = Encoder(), BlockDecoder(Memory())
    newest = b"\xbe"
    for value in (b"first", b"second"):
        decoder.decode(encoder.encode([(b"x-name", value)]))
        assert decoder.decode(newest).fields == decoder.decode(newest).fields == [(b"x-name", value)]


def test_what_remembered_blocks_add_is_in_the_table_when_it_is_referred_to() -> None:
    decoder = BlockDecoder(Memory())
    first, second = (b"\x40\x01%c\x01%c" % (name, name) for name in b"ab")
    for block in (first, second, first):
        decoder.decode(block)
    assert decoder.decode(b"\xbe\xbf").fields == [(b"a", b"a"), (b"b", b"b")]


def test_a_block_too_large_to_be_remembered_is_decoded_each_time() -> None:
    decoder = BlockDecoder(Memory())
    block = Encoder().encode([(b"x-large", b"\x01" * (MAX_SHARED // 2), True)])
    first, second = decoder.decode(block), decoder.decode(block)
    assert first is not second
    assert first.fields == second.fields == [(b"x-large", b"\x01" * (MAX_SHARED // 2))]


def test_a_remembered_section_cannot_be_changed_by_whoever_got_its_head() -> None:
    decoder = BlockDecoder(Memory())
    block = Encoder().encode([(b":status", b"200", True), (b"x-name", b"value", True)])
    decoder.decode(block).head()[1].clear()
    assert decoder.decode(block).head()[1] == [(b"x-name", b"value")]


def test_what_holds_whatever_the_table_says_is_remembered_for_the_next_connection() -> None:
    memory = Memory()
    first, second = BlockDecoder(memory), BlockDecoder(memory)
    assert second.decode(_block(1)) is not (section := first.decode(_block(2)))
    assert second.decode(_block(2)) is section


def test_what_a_remembered_block_adds_is_in_the_table_of_the_next_connection_too() -> None:
    memory = Memory()
    adds, newest = b"\x40\x01a\x011", b"\xbe"
    BlockDecoder(memory).decode(adds)
    second = BlockDecoder(memory)
    assert second.decode(adds).fields == second.decode(newest).fields == [(b"a", b"1")]


def test_what_a_block_adds_is_the_same_whatever_was_owed_when_others_came() -> None:
    memory = Memory()
    first, second = BlockDecoder(memory), BlockDecoder(memory)
    adds_a, adds_b, adds_c = b"\x40\x01a\x011", b"\x40\x01b\x012", b"\x40\x01c\x013"
    first.decode(adds_a)
    second.decode(adds_b)
    first.decode(adds_b)  # remembered from the other connection, and owed
    first.decode(adds_c)
    third = BlockDecoder(memory)
    third.decode(adds_b)
    third.decode(adds_a)
    assert third.decode(b"\xbe\xbf").fields == [(b"a", b"1"), (b"b", b"2")]


# As servers speak: each keeps a table of its own, and says in few bytes what it has said before.
SAID = st.lists(
    st.tuples(
        st.integers(0, 2),
        st.lists(
            st.sampled_from([(b"x-a", b"1"), (b"x-b", b"2"), (b"x-c", b"x" * 1500)]), min_size=1, max_size=2
        ),
        st.sampled_from([False, False, False, True]),
    ),
    min_size=20,
    max_size=60,
)


@given(SAID)
def test_connections_that_share_a_memory_keep_their_tables_apart(
    said: list[tuple[int, list[tuple[bytes, bytes]], bool]],
) -> None:
    memory = Memory()
    connections = [(Encoder(), BlockDecoder(memory)) for _ in range(3)]
    for number, section, anew in said:
        if anew:
            connections[number] = Encoder(), BlockDecoder(memory)
        encoder, decoder = connections[number]
        assert decoder.decode(encoder.encode(section)).fields == section


def test_what_refers_to_the_table_is_not_remembered_for_another_connection() -> None:
    memory = Memory()
    for value in (b"1", b"2"):
        decoder = BlockDecoder(memory)
        decoder.decode(b"\x40\x01a\x01" + value)
        assert decoder.decode(b"\xbe").fields == [(b"a", value)]


def test_a_field_that_was_sent_before_enters_the_table_of_the_next_connection_at_once() -> None:
    memory = Memory()
    fields = [(b"x-team", b"tea")]
    encode(BlockEncoder(memory), *fields)
    encoder = BlockEncoder(memory)
    encode(encoder, *fields)
    assert (b"x-team", b"tea") in encoder.header_table.dynamic_entries


def test_fields_are_encoded_anew_when_others_have_changed_the_table() -> None:
    encoder, decoder = BlockEncoder(Memory()), Decoder()
    ours, theirs = [(b"x-a", b"1"), (b"x-b", b"2")], [(b"x-c", b"3"), (b"x-d", b"4")]
    for fields in (ours, ours, ours, theirs, theirs, ours, theirs, ours):
        assert decoder.decode(encode(encoder, *fields), raw=True) == pseudo() + fields


def test_a_field_that_is_given_twice_enters_the_table_once() -> None:
    encoder, decoder = BlockEncoder(Memory()), Decoder()
    for times in (1, 2, 2, 2):
        fields = [(b"x-a", b"1")] * times
        assert decoder.decode(encode(encoder, *fields), raw=True) == pseudo() + fields
        assert list(decoder.header_table.dynamic_entries) == list(encoder.header_table.dynamic_entries)


def test_fields_that_are_sent_again_enter_a_table_that_was_settled_before() -> None:
    encoder = BlockEncoder(Memory())
    for _ in range(3):
        encode(encoder, (b"x-a", b"1"))
    fields = [(b"x-b", b"2"), (b"x-c", b"3")]
    blocks = [encode(encoder, *fields) for _ in range(4)]
    assert len(blocks[3]) == len(pseudo() + fields)
