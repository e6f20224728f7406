"""Field lines of HTTP/2: what a request's fields look like on the wire, and which of a response's are malformed.

RFC 9113 section 8.2 and 8.3.  Request names and values were checked when the Request was made.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from functools import lru_cache

from hpack import HeaderTuple, NeverIndexedHeaderTuple

from greenh2._protocol.events import Fields, RequestHead

#: RFC 9113 section 8.2.2: fields that speak of an HTTP/1.1 connection.
_CONNECTION_SPECIFIC = frozenset(
    (b"connection", b"keep-alive", b"proxy-connection", b"transfer-encoding", b"upgrade")
)
#: Values that must not be remembered by compression contexts (RFC 7541 section 7.1).
_SECRET = frozenset((b"authorization", b"proxy-authorization", b"cookie", b"set-cookie"))
#: RFC 9113 section 8.2.1: 0x00-0x20, A-Z, 0x7f-0xff and ":" may not stand in a name.
_BAD_NAME = re.compile(rb"[\x00-\x20A-Z\x7f-\xff:]")
_BAD_VALUE = re.compile(rb"[\x00\r\n]|^[ \t]|[ \t]$")
#: A block of more field lines than this is refused (a bound of our own; curl's is 5,000).
MAX_FIELD_LINES = 1000


class Malformed(ValueError):
    """A response that breaks RFC 9113 section 8; the text says how."""


@lru_cache(maxsize=1024)
def _lowered(name: bytes) -> bytes:
    return name.lower()


def pseudo_fields(head: RequestHead, host: bytes | None) -> Fields:
    """Return the pseudo-fields of a request; a Host that was given stands in place of the authority."""
    return [
        (b":method", head.method),
        (b":scheme", head.scheme),
        (b":authority", head.authority if host is None else host),
        (b":path", head.target),
    ]


def regular_fields(fields: Sequence[tuple[bytes, bytes]]) -> tuple[bytes | None, list[HeaderTuple]]:
    """Return the value of Host, and the other fields: in lower case, and without connection-specific ones."""
    host = None
    regular: list[HeaderTuple] = []
    for name, value in fields:
        lowered = _lowered(name)
        if lowered in _SECRET:
            regular.append(NeverIndexedHeaderTuple(lowered, value))
        elif lowered == b"host":
            host = value
        elif not _is_connection_specific(lowered, value):
            regular.append(HeaderTuple(lowered, value))
    return host, regular


def _is_connection_specific(name: bytes, value: bytes) -> bool:
    return name in _CONNECTION_SPECIFIC or (name == b"te" and value.lower() != b"trailers")


def section_size(fields: Sequence[tuple[bytes, bytes]]) -> int:
    """Return the size of a field section as RFC 9113 section 6.5.2 counts it."""
    return sum(len(name) + len(value) + 32 for name, value in fields)


def split_status(fields: Fields) -> tuple[int, Fields]:
    """Check a response's field section and return its status and its other fields.

    Raises Malformed, naming the field but never its value.
    """
    if not fields or fields[0][0] != b":status":
        raise Malformed("the response has no :status before its other fields")
    status = fields[0][1]
    if len(status) != 3 or not status.isdigit() or status < b"100" or status == b"101":
        raise Malformed(f"the response has the invalid :status {status[:16]!r}")
    regular = fields[1:]
    check_fields(regular)
    return int(status), regular


class FieldSection:
    """The fields of one block that has arrived, and what was found out about them, which may serve several streams."""

    __slots__ = ("_head", "fields", "size")

    def __init__(self, fields: Fields) -> None:
        self.fields = fields
        #: As RFC 9113 section 6.5.2 counts it (bytes).
        self.size = section_size(fields)
        self._head: tuple[int, Fields, int | None] | None = None

    def head(self) -> tuple[int, Fields, int | None]:
        """Return the status, a new list of the other fields, and content-length.  Raises Malformed."""
        if self._head is None:
            status, regular = split_status(self.fields)
            self._head = status, regular, content_length(regular)
        status, regular, length = self._head
        return status, regular.copy(), length


def check_fields(fields: Fields) -> None:
    """Raise Malformed if a field may not stand in a response or in trailers."""
    if len(fields) > MAX_FIELD_LINES:
        raise Malformed(f"the response has {len(fields)} field lines, more than {MAX_FIELD_LINES}")
    for name, value in fields:
        if not name or _BAD_NAME.search(name):
            raise Malformed(f"the field name {name[:64]!r} is not allowed in HTTP/2")
        if _BAD_VALUE.search(value):
            raise Malformed(f"the value of the field {name[:64]!r} holds characters that are not allowed")
        if _is_connection_specific(name, value):
            raise Malformed(f"the connection-specific field {name!r} is not allowed in HTTP/2")


def content_length(fields: Fields) -> int | None:
    """Return the declared length of a body, or None; Malformed if it is no number or two that differ."""
    found: int | None = None
    for name, value in fields:
        if name == b"content-length":
            if not value.isdigit() or len(value) > 18:
                raise Malformed(f"content-length {value[:32]!r} is not a number")
            if found is not None and found != int(value):
                raise Malformed("two different content-length fields")
            found = int(value)
    return found
