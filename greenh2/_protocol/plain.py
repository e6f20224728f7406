"""The plain case of HTTP/1.1: a request without a body, answered by a response that says its length.

That is most of what is sent, and h11 takes most of its time for what can only happen elsewhere.  So both heads are put
to one strict expression here, and whatever is not plain beyond doubt is None, and h11's to judge: chunks, interim
responses, connections that end, bodies without a length, and everything malformed.
"""

from __future__ import annotations

import re

from greenh2._protocol.events import Fields, RequestHead, ResponseHead

#: The most that a response's head may take (bytes).
MAX_HEAD = 128 * 1024
MAX_FIELD_LINES = 1000

_NAME = rb"[!#$%&'*+\-.^_`|~0-9A-Za-z]+"
# What matches keeps some 300 bytes of memory for each line, so that lines without bound are not matched.
_LINES = rb"(?:" + _NAME + rb":[\t\x20-\x7e\x80-\xff]*\r\n){0,%d}" % MAX_FIELD_LINES
_REQUEST_LINES = re.compile(_LINES)
_REQUEST_TARGET = re.compile(rb"[\x21-\x7e]+")
_RESPONSE = re.compile(rb"HTTP/1\.1 ([2-5][0-9][0-9])(?: ([\t\x20-\x7e]*))?\r\n(" + _LINES + rb")\r\n")
_METHODS = frozenset((b"GET", b"DELETE", b"OPTIONS"))
#: Fields that change how a message is framed, or what comes after it.
_FRAMING = frozenset(
    (b"connection", b"content-length", b"expect", b"te", b"trailer", b"transfer-encoding", b"upgrade")
)
#: Responses to these have no body, whatever they say (RFC 9112 section 6.3).
_NO_BODY = frozenset((204, 304))
#: More digits than a length has.
_LONGEST_LENGTH = 18


class PlainRequests:
    """The plain requests of a connection, of which one has mostly the same fields as the one before."""

    __slots__ = ("_fields", "_lines")

    def __init__(self) -> None:
        self._fields: Fields = []
        self._lines: bytes | None = None

    def write(self, head: RequestHead) -> bytes | None:
        """Return the bytes of a request that has no body, or None when h11 should look at it."""
        if head.method not in _METHODS or _REQUEST_TARGET.fullmatch(head.target) is None:
            return None
        if head.fields != self._fields:
            self._fields, self._lines = head.fields.copy(), _field_lines(head.fields)
        if self._lines is None:
            return None
        return b"%b %b HTTP/1.1\r\n%b\r\n" % (head.method, head.target, self._lines)


def _field_lines(fields: Fields) -> bytes | None:
    names = [name.lower() for name, value in fields if not _keeps_alive(name, value)]
    if names.count(b"host") != 1 or not _FRAMING.isdisjoint(names):
        return None
    lines = b"".join([b"%b: %b\r\n" % field for field in fields])
    # As many lines as fields: a line break in a value would make one more.
    if lines.count(b"\n") != len(fields) or _REQUEST_LINES.fullmatch(lines) is None:
        return None
    return lines


def plain_response(data: bytes) -> tuple[ResponseHead, int, int] | None:
    """Return a response's head, the length of its body, and where that begins; or None when h11 should look at it."""
    match = _RESPONSE.match(data, 0, MAX_HEAD)
    if match is None:
        return None
    status = int(match[1])
    length: int | None = None
    fields = []
    for line in match[3].split(b"\r\n")[:-1]:
        name, _, value = line.partition(b":")
        value = value.strip(b" \t")
        fields.append((name, value))
        lowered = name.lower()
        if lowered not in _FRAMING:
            continue
        if (
            lowered == b"content-length"
            and length is None
            and value.isdigit()
            and len(value) <= _LONGEST_LENGTH
        ):
            length = int(value)
        elif not _keeps_alive(lowered, value):
            return None
    if length is None or status in _NO_BODY or len(fields) > MAX_FIELD_LINES:
        return None
    return ResponseHead(status, fields, match[2] or b"", b"HTTP/1.1"), length, match.end()


def _keeps_alive(name: bytes, value: bytes) -> bool:
    """Tell whether this says only what goes without saying in HTTP/1.1 (RFC 9112 section 9.3)."""
    return value.lower() == b"keep-alive" and name.lower() == b"connection"
