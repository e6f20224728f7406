"""How much of header blocks is remembered, and owed to a table."""

from __future__ import annotations

from greenh2._protocol.hpack import MAX_REMEMBERED, BlockDecoder
from greenh2._protocol.memory import MAX_SHARED, Memory


def test_a_small_block_that_says_much_is_not_remembered() -> None:
    decoder = BlockDecoder(Memory())
    much, little = b"\x90" * (MAX_SHARED // 100), b"\x90"  # 60 bytes each, as they are counted
    refers, adds = b"\xbe" * (MAX_REMEMBERED // 60), b"\x40\x01a\x011"
    for block, remembered in ((much, False), (little, True), (adds, True), (refers, False), (b"\xbe", True)):
        assert (decoder.decode(block) is decoder.decode(block)) == remembered


def test_as_many_fields_as_the_table_holds_are_owed_to_it() -> None:
    memory, adds = Memory(), b"\x40\x00\x00" * 128
    BlockDecoder(memory).decode(adds)
    second = BlockDecoder(memory)
    second.decode(adds)
    assert second.decode(b"\xff\x3e").fields == [(b"", b"")]  # the 128th
