"""Ways to read a body that arrives in pieces: decoded, in chunks of one size, as text, as lines."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from typing import Final

from greenh2._models.decoders import (
    IDENTITY,
    ByteChunker,
    ContentDecoder,
    LineDecoder,
    TextChunker,
    TextDecoder,
)

#: What a decoder is given at once (bytes): how much came of how little is looked at that often.
_SLICE: Final = 4096


def decoded(
    pieces: Iterator[bytes], decoder: ContentDecoder, check: Callable[[int, int], None]
) -> Iterator[bytes]:
    """Return the pieces without their content coding.  Iterating raises DecodingError, and what `check` raises.

    That is called before each piece with the bytes that were decoded so far, and those that came of them.
    """
    return pieces if decoder is IDENTITY else _decoded(pieces, decoder, check)


def in_chunks(pieces: Iterator[bytes], size: int | None) -> Iterator[bytes]:
    """Return the pieces as chunks of `size` bytes, the last one shorter; as they are when `size` is None."""
    return pieces if size is None else _in_chunks(pieces, ByteChunker(size))


def as_text(pieces: Iterable[bytes], encoding: str, size: int | None) -> Iterator[str]:
    """Decode the pieces, in chunks of `size` characters unless that is None."""
    decoder = TextDecoder(encoding)
    chunker = TextChunker(size)
    for piece in pieces:
        yield from chunker.decode(decoder.decode(piece))
    yield from chunker.decode(decoder.flush())
    yield from chunker.flush()


def as_lines(texts: Iterable[str]) -> Iterator[str]:
    """Split the text into lines without their ends."""
    decoder = LineDecoder()
    for text in texts:
        yield from decoder.decode(text)
    yield from decoder.flush()


def _decoded(
    pieces: Iterator[bytes], decoder: ContentDecoder, check: Callable[[int, int], None]
) -> Iterator[bytes]:
    taken = made = 0
    for piece in pieces:
        for start in range(0, len(piece), _SLICE):
            slice_ = piece[start : start + _SLICE]
            taken += len(slice_)
            for result in decoder.decode(slice_):
                made += len(result)
                check(taken, made)
                yield result
    for result in decoder.flush():
        made += len(result)
        check(taken, made)
        yield result


def _in_chunks(pieces: Iterator[bytes], chunker: ByteChunker) -> Iterator[bytes]:
    for piece in pieces:
        yield from chunker.decode(piece)
    yield from chunker.flush()
