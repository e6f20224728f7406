"""Decoders turn what arrives, cut anywhere, into what it means: content codings, text, lines, even pieces."""

from __future__ import annotations

import codecs
import sys
import zlib
from collections.abc import Callable, Iterator
from typing import Final, Protocol

from greenh2._errors import DecodingError
from greenh2._models.headers import Headers

MAX_PIECE: Final = 262_144
"""The most bytes that decoding hands out at once, however much they were compressed."""

_SLICE: Final = 4096
"""What a decoder is given at once (bytes): how much came of how little is looked at that often."""

MAX_CODINGS: Final = 5
"""How many content codings may lie upon each other; the bound of curl (CVE-2022-32206)."""

_GZIP_MAGIC: Final = b"\x1f\x8b"


class ContentDecoder(Protocol):
    """Undoes a content coding (RFC 9110 section 8.4), bit by bit.

    Both methods return iterators, which must be used up in turn, of pieces that are never empty and never
    longer than 256 KiB if decompressed: a small body that swells to gigabytes never lies in memory as a
    whole. Both raise DecodingError.
    """

    def decode(self, data: bytes) -> Iterator[bytes]:
        """Decode the next bytes of the body."""
        ...

    def flush(self) -> Iterator[bytes]:
        """Decode what was held back, when the body is complete."""
        ...


class IdentityDecoder:
    """Passes the body on as it is."""

    __slots__ = ()

    def decode(self, data: bytes) -> Iterator[bytes]:
        """Pass the bytes on."""
        if data:
            yield data

    def flush(self) -> Iterator[bytes]:
        """Return nothing: nothing was held back."""
        return iter(())


class GzipDecoder:
    """Undoes gzip (RFC 1952): one or more members, one behind the other.

    What follows the last member and does not begin as one is ignored, as browsers do.  An empty body is not
    an error: responses to HEAD have none.
    """

    __slots__ = ("_between", "_done", "_inflater")

    def __init__(self) -> None:
        self._inflater: zlib._Decompress | None = None
        self._between = b""
        self._done = 0  # members that are complete; -1 when what follows them is being ignored

    def decode(self, data: bytes) -> Iterator[bytes]:
        """Decode the next bytes, into as many pieces as it takes."""
        while data and self._done >= 0:
            if self._inflater is None:
                data = self._begin(data)
                continue
            yield from _inflate(self._inflater, data, "gzip")
            if not self._inflater.eof:
                return
            data = self._inflater.unused_data
            self._inflater = None
            self._done += 1

    def flush(self) -> Iterator[bytes]:
        """Raise DecodingError when the last member has no end."""
        if self._inflater is not None:
            raise DecodingError("The body ends in the middle of its gzip data: part of it is missing.")
        return iter(())

    def _begin(self, data: bytes) -> bytes:
        data = self._between + data
        self._between = b""
        if self._done and not data.startswith(_GZIP_MAGIC):
            if data == _GZIP_MAGIC[:1]:
                self._between = data
            else:
                self._done = -1
            return b""
        self._inflater = zlib.decompressobj(zlib.MAX_WBITS | 16)
        return data


class DeflateDecoder:
    """Undoes deflate: in zlib's format (RFC 1950), as is right, or raw (RFC 1951), as some servers do."""

    __slots__ = ("_head", "_inflater")

    def __init__(self) -> None:
        self._inflater: zlib._Decompress | None = None
        self._head = b""

    def decode(self, data: bytes) -> Iterator[bytes]:
        """Decode the next bytes, into as many pieces as it takes."""
        if self._inflater is None:
            data = self._head + data
            if len(data) < 2:
                self._head = data
                return
            # RFC 1950 section 2.2.  A raw stream could look the same only by an unused bit which is set.
            is_zlib = data[0] & 0x0F == 8 and int.from_bytes(data[:2], "big") % 31 == 0
            self._inflater = zlib.decompressobj(zlib.MAX_WBITS if is_zlib else -zlib.MAX_WBITS)
        if not self._inflater.eof:
            yield from _inflate(self._inflater, data, "deflate")

    def flush(self) -> Iterator[bytes]:
        """Raise DecodingError when the data have no end."""
        if self._head if self._inflater is None else not self._inflater.eof:
            raise DecodingError("The body ends in the middle of its deflate data: part of it is missing.")
        return iter(())


def slices(piece: bytes) -> Iterator[bytes]:
    """Cut a piece into what a decoder is given at once."""
    return (piece[start : start + _SLICE] for start in range(0, len(piece), _SLICE))


class StackedDecoder:
    """Undoes the last coding, and then those below it.

    Its pieces may be empty: what swells in one coding may be nothing in the next, and whoever iterates sees in
    `between` how much has been made, and may give up.
    """

    __slots__ = ("_below", "_last", "_made")

    def __init__(self, last: ContentDecoder, below: ContentDecoder) -> None:
        self._last = last
        self._below = below
        self._made = 0

    @property
    def between(self) -> int:
        """How much has been made of the body that is not the body yet, by the coding that made most (bytes)."""
        last = self._last
        return max(self._made, last.between) if isinstance(last, StackedDecoder) else self._made

    def decode(self, data: bytes) -> Iterator[bytes]:
        """Decode the next bytes through all codings."""
        return self._through(self._last.decode(data))

    def flush(self) -> Iterator[bytes]:
        """Flush each coding into the next."""
        yield from self._through(self._last.flush())
        yield from self._below.flush()

    def _through(self, pieces: Iterator[bytes]) -> Iterator[bytes]:
        for piece in pieces:
            self._made += len(piece)
            for slice_ in slices(piece):
                yield b""
                yield from self._below.decode(slice_)
            if not piece:
                yield piece


IDENTITY: Final = IdentityDecoder()

_DECODERS: Final[dict[str, Callable[[], ContentDecoder]]] = {
    "gzip": GzipDecoder,
    "x-gzip": GzipDecoder,
    "deflate": DeflateDecoder,
}


def make_decoder(headers: Headers) -> ContentDecoder:
    """Return what undoes the Content-Encoding of a response.

    Codings are undone from the last to the first, as far as they are known: under an unknown one, as br and
    zstd are without their extras, everything stays as it is.  Raises DecodingError for more than 5.
    """
    if "content-encoding" not in headers:
        return IDENTITY
    names = [name.lower() for name in headers.get_list("content-encoding", split_commas=True)]
    names = [name for name in names if name not in ("", "identity")]
    if len(names) > MAX_CODINGS:
        raise DecodingError(
            f"The body has {len(names)} content codings; {MAX_CODINGS} are the most to be undone."
        )
    decoder: ContentDecoder = IDENTITY
    for name in reversed(names):
        make = _DECODERS.get(name) or _optional(name)
        if make is None:
            break
        below = make()
        decoder = below if decoder is IDENTITY else StackedDecoder(decoder, below)
    return decoder


def _optional(name: str) -> Callable[[], ContentDecoder] | None:
    if name not in ("br", "zstd"):
        return None
    # Looks for packages, which takes longer than all that is imported here.
    from greenh2._models.optional_decoders import optional_decoders

    return optional_decoders().get(name)


def _inflate(inflater: zlib._Decompress, data: bytes, coding: str) -> Iterator[bytes]:
    while True:
        try:
            piece = inflater.decompress(data, MAX_PIECE)
        except zlib.error as exc:
            raise DecodingError(f"The body is not the {coding} data that it claims to be: {exc}.") from exc
        data = inflater.unconsumed_tail
        if piece:
            yield piece
        # zlib may have taken all input and still hold output, which then fills the piece.
        if inflater.eof or (not data and len(piece) < MAX_PIECE):
            return


class TextDecoder:
    """Decodes text that arrives in pieces; what cannot be decoded becomes U+FFFD.

    Raises LookupError for an unknown encoding.
    """

    __slots__ = ("_decoder", "_name")

    def __init__(self, encoding: str = "utf-8") -> None:
        self._name = codecs.lookup(encoding).name
        self._decoder = codecs.getincrementaldecoder(encoding)(errors="replace")

    def decode(self, data: bytes) -> str:
        """Decode the next bytes, but for a character that is not complete."""
        try:
            return self._decoder.decode(data)
        except UnicodeError:
            if self._name not in ("utf-16", "utf-32"):
                raise
            # Without a byte order mark, which bytes.decode() does not ask for: the machine's own order holds there.
            data = self._decoder.getstate()[0] + data
            self._name = f"{self._name}-{sys.byteorder[0]}e"
            self._decoder = codecs.getincrementaldecoder(self._name)(errors="replace")
            return self._decoder.decode(data)

    def flush(self) -> str:
        """Return what is left when the text is complete."""
        return self._decoder.decode(b"", True)


class LineDecoder:
    """Splits text that arrives in pieces into lines without their ends, where `str.splitlines()` would."""

    __slots__ = ("_held", "_return")

    def __init__(self) -> None:
        self._held: list[str] = []
        self._return = False  # The text so far ends in \r: a \n that follows belongs to it.

    def decode(self, text: str) -> list[str]:
        """Return the lines that the next text completes."""
        if self._return:
            text = "\r" + text
        self._return = text.endswith("\r")
        if self._return:
            text = text[:-1]
        if not text:
            return []
        # A character behind the end tells a last line that is complete from one that is not.
        *lines, rest = (text + ".").splitlines()
        if lines:
            lines[0] = "".join([*self._held, lines[0]])
            self._held = []
        if rest := rest[:-1]:
            self._held.append(rest)
        return lines

    def flush(self) -> list[str]:
        """Return the last line, if it had no end."""
        last = "".join(self._held)
        lines = [last] if last or self._return else []
        self._held = []
        self._return = False
        return lines


class ByteChunker:
    """Cuts bytes that arrive in pieces into chunks of one size, the last one shorter; None cuts nothing."""

    __slots__ = ("_held", "_size")

    def __init__(self, size: int | None = None) -> None:
        self._size = _checked_size(size)
        self._held = bytearray()

    def decode(self, data: bytes) -> list[bytes]:
        """Return the chunks that the next bytes complete."""
        size = self._size
        if size is None:
            return [data] if data else []
        self._held += data
        whole = len(self._held) - len(self._held) % size
        chunks = [bytes(self._held[start : start + size]) for start in range(0, whole, size)]
        del self._held[:whole]
        return chunks

    def flush(self) -> list[bytes]:
        """Return the last chunk, if there is one."""
        chunks = [bytes(self._held)] if self._held else []
        self._held.clear()
        return chunks


class TextChunker:
    """Cuts text that arrives in pieces into chunks of so many characters, the last one shorter."""

    __slots__ = ("_held", "_size")

    def __init__(self, size: int | None = None) -> None:
        self._size = _checked_size(size)
        self._held = ""

    def decode(self, text: str) -> list[str]:
        """Return the chunks that the next text completes."""
        size = self._size
        if size is None:
            return [text] if text else []
        text = self._held + text
        whole = len(text) - len(text) % size
        self._held = text[whole:]
        return [text[start : start + size] for start in range(0, whole, size)]

    def flush(self) -> list[str]:
        """Return the last chunk, if there is one."""
        chunks = [self._held] if self._held else []
        self._held = ""
        return chunks


def _checked_size(size: int | None) -> int | None:
    if size is None:
        return None
    if not isinstance(size, int):
        raise TypeError(f"chunk_size is a number of bytes or characters, or None, not {size!r}")
    if size < 1:
        raise ValueError(f"chunk_size is 1 or more, or None, not {size!r}")
    return size
