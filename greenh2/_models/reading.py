"""Ways to read a body that arrives in pieces: decoded, in chunks of one size, as text, as lines."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator

from greenh2._models.bounds import FREE_OF_RATIO
from greenh2._models.decoders import (
    IDENTITY,
    ByteChunker,
    ContentDecoder,
    LineDecoder,
    StackedDecoder,
    TextChunker,
    TextDecoder,
    slices,
)


def decoded(
    pieces: Iterator[bytes], decoder: ContentDecoder, check: Callable[[int, int], None]
) -> Iterator[bytes]:
    """Return the pieces without their content coding.  Iterating raises DecodingError, and what `check` raises.

    That is called often, before each piece at least, with the bytes that were decoded so far, and those that came of
    them, be it between two codings.
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
    stack = decoder if isinstance(decoder, StackedDecoder) else None
    taken = made = 0
    for size, results in _results(pieces, decoder):
        taken += size
        check(taken, made)  # also where nothing ever comes of it
        for result in results:
            made += len(result)
            # An honest body may be a little longer with a coding than without.
            check(taken, made if stack is None else max(made, stack.between - FREE_OF_RATIO))
            if result:
                yield result


def _results(pieces: Iterator[bytes], decoder: ContentDecoder) -> Iterator[tuple[int, Iterator[bytes]]]:
    for piece in pieces:
        for slice_ in slices(piece):
            yield len(slice_), decoder.decode(slice_)
    yield 0, decoder.flush()


def _in_chunks(pieces: Iterator[bytes], chunker: ByteChunker) -> Iterator[bytes]:
    for piece in pieces:
        yield from chunker.decode(piece)
    yield from chunker.flush()
