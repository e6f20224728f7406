"""A memory of header blocks: what was learnt on one connection, and holds on the next ones of the same client."""

from __future__ import annotations

from typing import TYPE_CHECKING, TypeVar

if TYPE_CHECKING:  # clients are made without h2 and hpack, which take long to import
    from greenh2._protocol.fields import FieldSection
    from greenh2._protocol.hpack import Regular

K = TypeVar("K")
V = TypeVar("V")

#: How much a client remembers of each kind: fields that were sent, and sections that were received (bytes).
MAX_SHARED = 128 * 1024
#: How much is remembered with each state of a table, of each kind (bytes), and how many states (their number).
MAX_OF_STATE = 32 * 1024
MAX_STATES = 32
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


class TableState:
    """What an encoder's table holds, by what is encoded to what while it is so."""

    __slots__ = ("blocks", "depth", "pieces")

    def __init__(self, depth: int = 0) -> None:
        #: How many states led here: an early one, which a quiet connection may hold for long, must not hold all later.
        self.depth = depth
        #: A field, what it is encoded to, and the state that this leads to; None where it stays the same.
        self.pieces: Remembered[tuple[bytes, bytes], tuple[bytes, TableState | None]] = Remembered(
            MAX_OF_STATE
        )
        #: The fields of a request but its pseudo-fields, and what they are encoded to, where that changes nothing.
        self.blocks: Remembered[Regular, bytes] = Remembered(MAX_OF_STATE)


class Memory:
    """What all connections of a client share.  May be shared by threads."""

    __slots__ = ("_states", "empty_table", "met", "regular", "sections")

    def __init__(self) -> None:
        #: Fields that were sent, and may be sent again.
        self.met: Remembered[tuple[bytes, bytes], None] = Remembered(MAX_SHARED)
        #: The fields of requests, as they were given.
        self.regular: Remembered[tuple[tuple[bytes, bytes], ...], Regular] = Remembered(MAX_SHARED)
        #: Blocks that mean the same whatever the table holds, with their meaning and what they add to the table.
        self.sections: Remembered[bytes, tuple[FieldSection, tuple[tuple[bytes, bytes], ...]]] = Remembered(
            MAX_SHARED
        )
        #: The state of a table that is empty, and of the size that it has by default.
        self.empty_table = TableState()
        self._states = 0

    def state_after(self, state: TableState) -> TableState:
        """Return a state of which nothing is known; forget all states for new connections when there are too many."""
        self._states += 1
        if self._states > MAX_STATES:
            self._states = 0
            self.empty_table = TableState()
        return TableState(state.depth + 1)
