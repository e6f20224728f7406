"""A memory of header blocks: what was learnt on one connection, and holds on the next ones of the same client."""

from __future__ import annotations

from typing import TYPE_CHECKING, TypeVar

if TYPE_CHECKING:  # clients are made without h2 and hpack, which take long to import
    from greenh2._protocol.fields import FieldSection

K = TypeVar("K")
V = TypeVar("V")

#: How much a client remembers of each kind: fields that were sent, and sections that were received (bytes).
MAX_SHARED = 128 * 1024
#: What takes more than this part of a memory is not kept.
_PARTS = 2
#: What an entry takes besides its content (bytes); Python's objects take several times that.
_OVERHEAD = 32


class Remembered(dict[K, V]):
    """A dictionary that is emptied when it has become too large.  May be shared by threads."""

    __slots__ = ("_most", "_size")

    def __init__(self, most: int) -> None:
        super().__init__()
        self._most = most
        self._size = 0

    def keep(self, key: K, value: V, size: int) -> None:
        """Keep a value that takes so many bytes, unless it would be most of what is kept."""
        size += _OVERHEAD
        if size > self._most // _PARTS:
            return
        self._size += size
        if self._size > self._most:
            self.clear()
            self._size = size
        self[key] = value

    def clear(self) -> None:
        super().clear()
        self._size = 0


class Memory:
    """What all connections of a client share.  May be shared by threads."""

    __slots__ = ("met", "sections")

    def __init__(self) -> None:
        #: Fields that were sent, and may be sent again.
        self.met: Remembered[tuple[bytes, bytes], None] = Remembered(MAX_SHARED)
        #: Blocks that mean the same whatever the table holds, with their meaning and what they add to the table.
        self.sections: Remembered[bytes, tuple[FieldSection, tuple[tuple[bytes, bytes], ...]]] = Remembered(
            MAX_SHARED
        )
