"""Streams that a transport of your own may make: the body of a request or a response, as it is sent or comes."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Protocol


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
        if not isinstance(stream, bytes):
            raise TypeError(f"The stream of a ByteStream is bytes, not {type(stream).__name__}")
        self._content = stream

    def __iter__(self) -> Iterator[bytes]:
        yield self._content


class ResponseStream(Protocol):
    """The body of a response as it comes in: iterate it once, and close it.

    It may also have `trailers`, a list of pairs of bytes, which is looked at after the end; and `take_whole`, a
    function that returns what is left of the body if all of it is there already, and else None; and `give_way`, a
    function that is called again and again while the body is decoded, and may let others run.
    """

    def __iter__(self) -> Iterator[bytes]:
        """Return an iterator over what has arrived; it may switch greenlets."""
        ...

    def close(self) -> None:
        """Let go of the exchange.  May be called twice."""
        ...


def checked_stream(stream: ResponseStream) -> ResponseStream:
    """Return it if it can be the stream of a response.  Raises TypeError: bytes iterate as numbers, for one."""
    if not (hasattr(stream, "__iter__") and hasattr(stream, "close")):
        raise TypeError(
            "The stream of a response is an iterable of bytes with a close(), such as greenh2.ByteStream(b'...'), not "
            f"{type(stream).__name__}: give anything else as content"
        )
    return stream
