"""A memory of header blocks: what was learnt on one connection, and holds on the next ones of the same client."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:  # clients are made without h2 and hpack, which take long to import
    from greenh2._protocol.fields import FieldSection


class Memory:
    """Two dictionaries, which those who use them keep small.  May be shared by threads."""

    __slots__ = ("met", "sections")

    def __init__(self) -> None:
        #: Fields that were sent, and may be sent again.
        self.met: dict[tuple[bytes, bytes], None] = {}
        #: Blocks that mean the same whatever the table holds, with their meaning and what they add to the table.
        self.sections: dict[bytes, tuple[FieldSection, tuple[tuple[bytes, bytes], ...]]] = {}
