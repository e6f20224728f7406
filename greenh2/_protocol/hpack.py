"""Header compression within bounds: the peer decides neither how large a table we keep nor how much we decode."""

from __future__ import annotations

import re
from collections import deque

from h2.errors import ErrorCodes
from hpack import (
    Decoder,
    Encoder,
    HeaderTuple,
    HPACKError,
    NeverIndexedHeaderTuple,
    OversizedHeaderListError,
)
from hpack.table import HeaderTable

from greenh2._protocol.events import Fields
from greenh2._protocol.fields import FieldSection, regular_fields, section_size
from greenh2._protocol.frames import FrameViolation
from greenh2._protocol.memory import MAX_STATES, Memory, Remembered, TableState

#: The most of a peer's SETTINGS_HEADER_TABLE_SIZE that the encoder makes use of (bytes; RFC 7541's default).
MAX_ENCODER_TABLE = 4096
#: Beyond this the connection ends: decoding more would be work for an attacker (bytes, as MAX_HEADER_LIST_SIZE).
MAX_DECODED_BLOCK = 96 * 1024
#: So many changes of the table's size may stand before the fields; RFC 7541 section 4.2 has use for two.
MAX_RESIZES = 8
_RESIZES = re.compile(rb"(?:[\x20-\x3e]|\x3f[\x80-\xff]*[\x00-\x7f]){%d}" % (MAX_RESIZES + 1))
#: A larger field stays out of the table, most of which it would push out (bytes).
MAX_INDEXED_FIELD = 512
#: So do all fields of a larger section: they would push out one another, each time anew (bytes).
MAX_INDEXED_SECTION = MAX_ENCODER_TABLE // 2
#: How much a connection remembers of blocks that say something with this table only (bytes).
MAX_REMEMBERED = 32 * 1024


_UNKNOWN = (None, None)


class BoundedEncoder(Encoder):
    """An encoder whose table never grows beyond MAX_ENCODER_TABLE, whatever the peer allows."""

    @property
    def header_table_size(self) -> int:
        return int(self.header_table.maxsize)

    @header_table_size.setter
    def header_table_size(self, value: int) -> None:
        size = min(value, MAX_ENCODER_TABLE)
        if size != self.header_table.maxsize:  # set to what it is, hpack would forget a change that it owes
            self.header_table.maxsize = size
            # RFC 7541 section 4.2: of all that is owed the least and the last; one between may be no longer allowed.
            least = min(self.table_size_changes, default=size)
            self.table_size_changes = [least, size] if least < size else [size]


class WatchedTable(HeaderTable):
    """A dynamic table that tells what is done with it."""

    def __init__(self) -> None:
        self.changes = 0
        self.added: Fields = []
        #: Whether an entry was looked up that is not in the static table, or the size was changed.
        self.needed = False
        super().__init__()

    def add(self, name: bytes, value: bytes) -> None:
        self.changes += 1
        self.added.append((name, value))
        super().add(name, value)

    def get_by_index(self, index: int) -> tuple[bytes, bytes]:
        if index > HeaderTable.STATIC_TABLE_LENGTH:
            self.needed = True
        return super().get_by_index(index)

    @property
    def maxsize(self) -> int:
        return self._maxsize

    @maxsize.setter
    def maxsize(self, value: int) -> None:
        self.changes += 1
        self.needed = True
        HeaderTable.maxsize.__set__(self, value)  # type: ignore[attr-defined] # a property, which mypy takes for a function


class Regular:
    """The fields of a request but its pseudo-fields."""

    __slots__ = ("fields", "host", "indexable", "size")

    def __init__(self, host: bytes | None, fields: list[HeaderTuple]) -> None:
        self.host = host
        self.fields = fields
        #: As RFC 9113 section 6.5.2 counts it (bytes).
        self.size = section_size(fields)
        self.indexable = self.size <= MAX_INDEXED_SECTION


class BlockEncoder(BoundedEncoder):
    """Makes header blocks out of remembered pieces.

    What a field is encoded to depends on the field and on what the table holds.  So each piece is remembered with the
    state of the table, for this connection and for all whose tables come to hold the same; the table itself is kept up
    with the state only where a piece is met that is not remembered.  To keep it from changing, a field enters the table
    only when it is met a second time, while paths and secrets never do (RFC 7541 section 7.1).
    """

    header_table: WatchedTable

    def __init__(self, memory: Memory) -> None:
        super().__init__()
        self.header_table = WatchedTable()
        self._memory = memory
        self._state = memory.empty_table
        #: What the table holds by its state, and not yet in truth.
        self._owed: Fields = []
        #: Whether a field was met for the first time, so that it is encoded otherwise when it is met again.
        self._newcomer = False

    @property
    def header_table_size(self) -> int:
        return super().header_table_size

    @header_table_size.setter
    def header_table_size(self, value: int) -> None:
        self._settle()
        changes = self.header_table.changes
        BoundedEncoder.header_table_size.__set__(self, value)  # type: ignore[attr-defined] # a property, as above
        if changes != self.header_table.changes:
            self._state = TableState()  # like that of no other connection

    def regular(self, fields: Fields) -> Regular:
        """Return what the fields of a request are on the wire, remembered if they were seen before."""
        key = tuple(fields)
        regular = self._memory.regular.get(key)
        if regular is None:
            regular = Regular(*regular_fields(fields))
            self._memory.regular.keep(key, regular, regular.size)
        return regular

    def block(self, pseudo: Fields, regular: Regular) -> bytes:
        """Encode the field section of a request, pseudo-fields first."""
        block = [super().encode(())] if self.header_table.resized else []
        for field in pseudo:
            piece, following = self._state.pieces.get(field, _UNKNOWN)
            if piece is None or following is not None:
                piece = self._encode_field(field, field[0] != b":path")
            block.append(piece)
        rest = self._state.blocks.get(regular)
        block.append(self._encode(regular) if rest is None else rest)
        return b"".join(block)

    def _encode(self, regular: Regular) -> bytes:
        state, self._newcomer = self._state, False
        block = b"".join([self._encode_field(field, regular.indexable) for field in regular.fields])
        if self._state is state and not self._newcomer:
            state.blocks.keep(regular, block, len(block))
        return block

    def _encode_field(self, field: tuple[bytes, bytes], indexable: bool) -> bytes:
        known = self._state.pieces.get(field)
        piece, following = self._add(field, indexable) if known is None else known
        if following is not None:
            if known is not None:
                self._owed.append(field)
            self._state = following
        return piece

    def _add(self, field: tuple[bytes, bytes], indexable: bool) -> tuple[bytes, TableState | None]:
        """Encode a field, and return the state that this leads to, None where it stays the same."""
        self._settle()
        name, value = field
        indexable = indexable and not isinstance(field, NeverIndexedHeaderTuple)
        lasting = indexable and len(name) + len(value) <= MAX_INDEXED_FIELD
        met = lasting and field in self._memory.met
        piece = self.add((name, value), sensitive=not met, huffman=lasting)
        following = self._memory.state_after(self._state) if self.header_table.added else None
        self.header_table.added.clear()
        if following is not None and following.depth > MAX_STATES:
            return piece, following
        if met or not lasting:
            self._state.pieces.keep(field, (piece, following), len(name) + len(value) + len(piece))
        else:
            self._memory.met.keep(field, None, len(name) + len(value))
            self._newcomer = True
        return piece, following

    def _settle(self) -> None:
        """Add to the table what is owed to it."""
        for name, value in self._owed:
            self.header_table.add(name, value)
        self._owed.clear()
        self.header_table.added.clear()


class BlockDecoder:
    """Decodes header blocks, and remembers them: servers repeat themselves.

    A block that refers to the table says the same until the table changes.  One that does not says the same for ever,
    and on every connection, but may add to the table (nginx adds its fields every time, and never refers to them): that
    is owed to the table until a block comes that is not remembered.
    """

    def __init__(self, memory: Memory) -> None:
        self._decoder = Decoder(MAX_DECODED_BLOCK)
        self._decoder.header_table = self._table = WatchedTable()
        self._lasting = memory.sections
        #: Those that refer to the table, and how often it had changed by then.
        self._passing: Remembered[bytes, tuple[FieldSection, int]] = Remembered(MAX_REMEMBERED)
        # More entries than this do not fit into the table (RFC 7541 section 4.1): those before would be pushed out.
        self._owed: deque[tuple[bytes, bytes]] = deque(maxlen=HeaderTable.DEFAULT_SIZE // 32)

    def decode(self, block: bytes) -> FieldSection:
        """Return the fields as they are.  Raises FrameViolation, after which the tables of both sides differ."""
        if (lasting := self._lasting.get(block)) is not None:
            section, added = lasting
            self._owed.extend(added)
            return section
        table = self._table
        if not self._owed and (passing := self._passing.get(block)) is not None:
            section, changes = passing
            if changes == table.changes:
                return section
        for name, value in self._owed:
            table.add(name, value)
        self._owed.clear()
        table.added.clear()
        table.needed = False
        changes = table.changes
        section = FieldSection(self._decode(block))
        if not table.needed:
            self._lasting.keep(block, (section, tuple(table.added)), section.size)
        elif changes == table.changes:
            self._passing.keep(block, (section, changes), section.size)
        return section

    def _decode(self, block: bytes) -> Fields:
        if _RESIZES.match(block):
            raise FrameViolation(
                ErrorCodes.ENHANCE_YOUR_CALM,
                f"a header block resizes the table more than {MAX_RESIZES} times",
            )
        try:
            return [(header[0], header[1]) for header in self._decoder.decode(block, raw=True)]
        except OversizedHeaderListError as exc:
            raise FrameViolation(
                ErrorCodes.ENHANCE_YOUR_CALM, f"a header block unpacks to more than {MAX_DECODED_BLOCK} bytes"
            ) from exc
        except HPACKError as exc:  # RFC 7541 section 2.1; its text may hold values, and be long
            raise FrameViolation(
                ErrorCodes.COMPRESSION_ERROR, f"a header block cannot be decoded ({type(exc).__name__})"
            ) from exc
