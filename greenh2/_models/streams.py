"""Streams that a transport of your own may make: the body of a request or a response, as it is sent or comes."""

from __future__ import annotations

from collections.abc import Iterator


class SyncByteStream:
    """The body of a response, or a request, as a class: subclass it, and write `__iter__`.

    Any object with `__iter__` and `close()` does as well.  It is iterated once for a response, and for a request as
    often as it is sent.
    """

    __slots__ = ()

    def __iter__(self) -> Iterator[bytes]:
        """Return an iterator over the bytes, in pieces of any size."""
        raise NotImplementedError(f"{type(self).__name__} does not implement __iter__()")

    def close(self) -> None:
        """Let go of what produces the bytes.  May be called twice."""


class ByteStream(SyncByteStream):
    """A stream of bytes that lie in memory."""

    __slots__ = ("_content",)

    def __init__(self, stream: bytes) -> None:
        self._content = stream

    def __iter__(self) -> Iterator[bytes]:
        yield self._content
