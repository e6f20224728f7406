"""Header compression as greenh2 wants it of hpack: malformed responses become trouble of one stream, not of all.

h2 ends the whole connection when a response's fields are malformed.  RFC 9113 section 8.1.1 lets that be a stream
error.  So the decoder judges the fields itself, keeps them for us, and hands h2 a plain stand-in that moves its
state machine the same way.
"""

from __future__ import annotations

from collections.abc import Iterable

from hpack import Decoder, Encoder, HeaderTuple

from greenh2._protocol.events import Fields

#: The most of a peer's SETTINGS_HEADER_TABLE_SIZE that the encoder makes use of (bytes; RFC 7541's default).
MAX_ENCODER_TABLE = 4096
#: Beyond this the connection ends: decoding more would be work for an attacker (bytes).
MAX_DECODED_BLOCK = 1 << 20

FINAL_STAND_IN = [HeaderTuple(b":status", b"200")]
INTERIM_STAND_IN = [HeaderTuple(b":status", b"100")]
TRAILERS_STAND_IN = [HeaderTuple(b"trailer", b"")]


class BoundedEncoder(Encoder):
    """An encoder whose table never grows beyond MAX_ENCODER_TABLE, whatever the peer allows."""

    @property
    def header_table_size(self) -> int:
        return int(self.header_table.maxsize)

    @header_table_size.setter
    def header_table_size(self, value: int) -> None:
        self.header_table.maxsize = min(value, MAX_ENCODER_TABLE)
        if self.header_table.resized:
            self.table_size_changes.append(self.header_table.maxsize)


class JudgingDecoder(Decoder):
    """Decodes a block, keeps the fields in ``fields``, and returns what ``judge`` makes of them for h2."""

    def __init__(self) -> None:
        super().__init__(MAX_DECODED_BLOCK)
        self.fields: Fields = []
        #: Set before each block by the owner: looks at the fields and returns the stand-in.
        self.trailers = False
        self.ends_stream = False

    def decode(self, data: bytes, raw: bool = False) -> Iterable[HeaderTuple]:
        self.max_header_list_size = MAX_DECODED_BLOCK  # h2 sets it from SETTINGS, which bound a stream, not this
        self.fields = [(header[0], header[1]) for header in super().decode(data, raw=True)]  # type: ignore[misc]
        if self.trailers:
            return TRAILERS_STAND_IN
        if not self.ends_stream and is_interim(self.fields):
            return INTERIM_STAND_IN
        return FINAL_STAND_IN


def is_interim(fields: Fields) -> bool:
    """Tell whether this is a 1xx response; 101 has no meaning in HTTP/2 (RFC 9113 section 8.6) and is none."""
    if not fields or fields[0][0] != b":status":
        return False
    status = fields[0][1]
    return len(status) == 3 and status.startswith(b"1") and status.isdigit() and status != b"101"
