"""How much of header blocks is remembered, and owed to a table."""

from __future__ import annotations

from greenh2._protocol.hpack import MAX_BLOCK, MAX_SECTION, BlockDecoder
from greenh2._protocol.memory import Memory


def test_a_small_block_that_says_much_is_not_remembered() -> None:
    decoder = BlockDecoder(Memory())
    for block in (b"\x90" * MAX_BLOCK, b"\x40\x01a\x011", b"\xbe" * MAX_BLOCK):
        section = decoder.decode(block)
        assert (decoder.decode(block) is section) == (section.size <= MAX_SECTION)


def test_as_many_fields_as_the_table_holds_are_owed_to_it() -> None:
    memory, adds = Memory(), b"\x40\x00\x00" * 128
    BlockDecoder(memory).decode(adds)
    second = BlockDecoder(memory)
    second.decode(adds)
    assert second.decode(b"\xff\x3e").fields == [(b"", b"")]  # the 128th
