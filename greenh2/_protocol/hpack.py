"""Header compression within bounds: the peer decides neither how large a table we keep nor how much we decode."""

from __future__ import annotations

from h2.errors import ErrorCodes
from hpack import Decoder, Encoder, HPACKError, OversizedHeaderListError

from greenh2._protocol.events import Fields
from greenh2._protocol.frames import FrameViolation

#: The most of a peer's SETTINGS_HEADER_TABLE_SIZE that the encoder makes use of (bytes; RFC 7541's default).
MAX_ENCODER_TABLE = 4096
#: Beyond this the connection ends: decoding more would be work for an attacker (bytes, as MAX_HEADER_LIST_SIZE).
MAX_DECODED_BLOCK = 256 * 1024


class BoundedEncoder(Encoder):
    """An encoder whose table never grows beyond MAX_ENCODER_TABLE, whatever the peer allows."""

    @property
    def header_table_size(self) -> int:
        return int(self.header_table.maxsize)

    @header_table_size.setter
    def header_table_size(self, value: int) -> None:
        size = min(value, MAX_ENCODER_TABLE)
        if (
            size != self.header_table.maxsize
        ):  # hpack forgets a change that it owes when the same size is set again
            self.header_table.maxsize = size
            self.table_size_changes.append(size)


class BlockDecoder:
    """Decodes header blocks.

    It stands before h2's decoder, which takes malformed fields, and any trouble, for the end of a connection.
    """

    def __init__(self) -> None:
        self._decoder = Decoder(MAX_DECODED_BLOCK)

    def decode(self, block: bytes) -> Fields:
        """Return the fields as they are.  Raises FrameViolation, after which the tables of both sides differ."""
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
