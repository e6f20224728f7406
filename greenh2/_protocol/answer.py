"""An answer: one response over HTTP/2 as it arrives, judged by RFC 9113 section 8.

h2 ends the whole connection when a response is malformed.  Section 8.1.1 makes that an error of the stream; so
responses are judged here, before h2 sees them, and h2 sees only well-formed ones.
"""

from __future__ import annotations

from greenh2._protocol.events import Fields, ResponseHead
from greenh2._protocol.fields import FieldSection, Malformed, check_fields

#: What the header fields of a response may take, as RFC 9113 section 6.5.2 counts it (bytes).
MAX_HEADER_LIST_SIZE = 64 * 1024
#: 1xx responses before the final one (RFC 9110 section 15.2 sets no bound; Go and curl set one too).
MAX_INTERIM = 50
_NO_BODY = frozenset((204, 304))


class Answer:
    """What has arrived of one response.  After Malformed it takes nothing more."""

    __slots__ = ("_declared", "_head_seen", "_interim", "_received", "_to_head")

    def __init__(self, *, to_head: bool) -> None:
        self._to_head = to_head
        self._head_seen = False
        self._interim = 0
        self._declared: int | None = None
        self._received = 0

    @property
    def begun(self) -> bool:
        """Whether anything of it has arrived, interim responses included."""
        return self._head_seen or self._interim > 0

    def take_fields(self, section: FieldSection, *, end: bool) -> ResponseHead | None:
        """Take a field section and return the head, or None for an interim response and for trailers.

        Raises Malformed.
        """
        if section.size > MAX_HEADER_LIST_SIZE:
            raise Malformed(f"the header fields take more than {MAX_HEADER_LIST_SIZE} bytes")
        if self._head_seen:
            self._take_trailers(section.fields, end)
            return None
        status, regular, length = section.head()
        if status < 200:
            self._take_interim(end)
            return None
        self._head_seen = True
        self._declared = 0 if self._to_head or status in _NO_BODY else length
        if end:
            self._check_whole()
        return ResponseHead(status, regular)

    def take_data(self, length: int, *, end: bool) -> None:
        """Take so many bytes of the body.  Raises Malformed."""
        if not self._head_seen:
            raise Malformed("DATA arrived where a response's header fields were due")
        self._received += length
        if self._declared is not None and self._received > self._declared:
            raise Malformed(f"the body is longer than the {self._declared} bytes that it may have")
        if end:
            self._check_whole()

    def _take_interim(self, end: bool) -> None:
        self._interim += 1
        if end:
            raise Malformed("an interim response ended the stream")
        if self._interim > MAX_INTERIM:
            raise Malformed(f"more than {MAX_INTERIM} interim (1xx) responses")

    def _take_trailers(self, fields: Fields, end: bool) -> None:
        if not end:
            raise Malformed("trailers without END_STREAM")
        check_fields(fields)
        self._check_whole()

    def _check_whole(self) -> None:
        if self._declared is not None and self._received < self._declared:
            raise Malformed(
                f"the body ended after {self._received} of {self._declared} bytes (content-length)"
            )
