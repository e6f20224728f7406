"""Header compression within bounds: the peer decides neither how large a table we keep nor how much we decode."""

from __future__ import annotations

from collections import deque
from typing import TypeVar

from h2.errors import ErrorCodes
from hpack import Decoder, Encoder, HeaderTuple, HPACKError, OversizedHeaderListError
from hpack.table import HeaderTable

from greenh2._protocol.events import Fields
from greenh2._protocol.fields import FieldSection, regular_fields, section_size
from greenh2._protocol.frames import FrameViolation
from greenh2._protocol.memory import Memory

#: The most of a peer's SETTINGS_HEADER_TABLE_SIZE that the encoder makes use of (bytes; RFC 7541's default).
MAX_ENCODER_TABLE = 4096
#: Beyond this the connection ends: decoding more would be work for an attacker (bytes, as MAX_HEADER_LIST_SIZE).
MAX_DECODED_BLOCK = 256 * 1024


#: Pieces and blocks that are remembered for a connection; beyond that all of them are forgotten.
MAX_REMEMBERED = 256
#: A larger field stays out of the table, most of which it would push out (bytes).
MAX_INDEXED_FIELD = 512
#: A larger block is not remembered (bytes).
MAX_BLOCK = 4096
#: Nor one that says more than this: a byte of a block may say as much as the table holds (bytes as RFC 9113 section
#: 6.5.2 counts them).
MAX_SECTION = 16 * 1024

#: In place of a count of changes: the block is of no table.
_NEVER = -1

K = TypeVar("K")
V = TypeVar("V")


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
            self.table_size_changes.append(size)


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
    """The fields of a request but its pseudo-fields, and their part of the block while the table stays as it is."""

    __slots__ = ("block", "block_of", "fields", "host", "size")

    def __init__(self, host: bytes | None, fields: list[HeaderTuple]) -> None:
        self.host = host
        self.fields = fields
        #: As RFC 9113 section 6.5.2 counts it (bytes).
        self.size = section_size(fields)
        self.block = b""
        #: Which state of the table the block is of.
        self.block_of = _NEVER


class BlockEncoder(BoundedEncoder):
    """Makes header blocks out of remembered pieces.

    What a field is encoded to depends on the field and on the table.  So each piece is remembered until the table
    changes; and to keep it from changing, a field enters it only when it is met a second time, while paths and
    secrets never do (RFC 7541 section 7.1).
    """

    header_table: WatchedTable

    def __init__(self, memory: Memory) -> None:
        super().__init__()
        self.header_table = WatchedTable()
        self._pieces: dict[tuple[bytes, bytes], bytes] = {}
        self._pieces_of = 0
        self._met = memory.met
        self._regular: dict[tuple[tuple[bytes, bytes], ...], Regular] = {}

    def regular(self, fields: Fields) -> Regular:
        """Return what the fields of a request are on the wire, remembered if they were seen before."""
        key = tuple(fields)
        regular = self._regular.get(key)
        if regular is None:
            regular = Regular(*regular_fields(fields))
            if regular.size <= MAX_BLOCK:
                _remember(self._regular, key, regular)
        return regular

    def block(self, pseudo: Fields, regular: Regular) -> bytes:
        """Encode the field section of a request, pseudo-fields first."""
        table, pieces = self.header_table, self._pieces
        block = [super().encode(())] if table.resized else []
        for field in pseudo:
            piece = pieces.get(field) if self._pieces_of == table.changes else None
            block.append(self._encode_field(HeaderTuple(*field)) if piece is None else piece)
        if regular.block_of != table.changes:
            self._encode(regular)
        block.append(regular.block)
        return b"".join(block)

    def _encode(self, regular: Regular) -> None:
        before = self.header_table.changes
        regular.block = b"".join([self._encode_field(field) for field in regular.fields])
        # A block that changes the table says something else the next time, also where one field is given twice; and
        # those that were met for the first time shall enter the table, so that they are not done with yet.
        same = before == self.header_table.changes
        done = same and all(field in self._pieces for field in regular.fields)
        regular.block_of = before if done else _NEVER

    def _encode_field(self, field: HeaderTuple) -> bytes:
        # The table may change in the midst of a block: what was encoded before holds, what follows may not.
        if self._pieces_of != self.header_table.changes:
            self._pieces.clear()
            self._pieces_of = self.header_table.changes
        if (remembered := self._pieces.get(field)) is not None:
            return remembered
        name, value = field
        lasting = field.indexable and name != b":path" and len(name) + len(value) <= MAX_INDEXED_FIELD
        known = lasting and field in self._met
        piece = self.add((name, value), sensitive=not known, huffman=lasting)
        self.header_table.added.clear()
        if known or not lasting:
            if len(piece) <= MAX_BLOCK:
                _remember(self._pieces, field, piece)
        else:
            _remember(self._met, field, None)
        return piece


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
        self._passing: dict[bytes, tuple[FieldSection, int]] = {}
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
        if len(block) <= MAX_BLOCK and section.size <= MAX_SECTION:
            if not table.needed:
                _remember(self._lasting, block, (section, tuple(table.added)))
            elif changes == table.changes:
                _remember(self._passing, block, (section, changes))
        return section

    def _decode(self, block: bytes) -> Fields:
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


def _remember(memory: dict[K, V], key: K, value: V) -> None:
    if len(memory) >= MAX_REMEMBERED:
        memory.clear()
    memory[key] = value
