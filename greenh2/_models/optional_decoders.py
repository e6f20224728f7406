"""Decoders for br and zstd, each of which needs a package that greenh2 does not: the extras of the same names."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import cache
from importlib import import_module
from importlib.util import find_spec
from typing import Any, Final

from greenh2._errors import DecodingError

#: The most bytes that a decoder makes at once; the `brotli` package may make almost twice what it is asked for.
_PIECE: Final = 131_072
#: What zstd is given at once (bytes): 4 may say 128 KiB, and nothing else bounds what is made of one call.
_ZSTD_SLICE: Final = 64
#: RFC 9659: a window of 8 MiB is the most that a server may demand under this name.
_ZSTD_WINDOW: Final = 1 << 23


class BrotliDecoder:
    """Undoes br (RFC 7932), by `brotli` or `brotlicffi`, 1.2 or later: earlier ones cannot bound what they make.

    What follows the end is an error, and an empty body is none.
    """

    __slots__ = ("_begun", "_decompressor", "_error")

    def __init__(self) -> None:
        package = _brotli()
        self._decompressor = package.Decompressor()
        self._error: type[Exception] = package.error
        self._begun = False

    def decode(self, data: bytes) -> Iterator[bytes]:
        """Decode the next bytes, into as many pieces as it takes."""
        if not data:
            return
        self._begun = True
        decompressor = self._decompressor
        while True:
            try:
                piece = decompressor.process(data, output_buffer_limit=_PIECE)
                done = decompressor.is_finished() or (not piece and decompressor.can_accept_more_data())
            except self._error as exc:
                raise DecodingError(f"The body is not the br data that it claims to be: {exc}.") from exc
            if piece:
                yield piece
            if done:
                return
            data = b""

    def flush(self) -> Iterator[bytes]:
        """Raise DecodingError when the data have no end."""
        if self._begun and not self._decompressor.is_finished():
            raise DecodingError("The body ends in the middle of its br data: part of it is missing.")
        return iter(())


class ZstdDecoder:
    """Undoes zstd (RFC 8878) by `zstandard`: one or more frames, one behind the other.

    What follows them and is no frame is an error; so is a frame that needs a window of more than 8 MiB (RFC
    9659).  An empty body is none.
    """

    __slots__ = ("_decompressor", "_error", "_frame")

    def __init__(self) -> None:
        package = import_module("zstandard")
        self._decompressor = package.ZstdDecompressor(max_window_size=_ZSTD_WINDOW)
        self._error: type[Exception] = package.ZstdError
        self._frame: Any = None  # the package's own decompressobj, while there is a frame under way

    def decode(self, data: bytes) -> Iterator[bytes]:
        """Decode the next bytes, into as many pieces as it takes."""
        for start in range(0, len(data), _ZSTD_SLICE):
            rest = data[start : start + _ZSTD_SLICE]
            while rest:
                if self._frame is None:
                    self._frame = self._decompressor.decompressobj()
                try:
                    made = self._frame.decompress(rest)
                except self._error as exc:
                    raise DecodingError(
                        f"The body is not the zstd data that it claims to be: {exc}."
                    ) from exc
                rest = self._frame.unused_data if self._frame.eof else b""
                if self._frame.eof:
                    self._frame = None
                for edge in range(0, len(made), _PIECE):
                    yield made[edge : edge + _PIECE]

    def flush(self) -> Iterator[bytes]:
        """Raise DecodingError when the last frame has no end."""
        if self._frame is not None:
            raise DecodingError("The body ends in the middle of its zstd data: part of it is missing.")
        return iter(())


@cache
def optional_decoders() -> dict[str, Callable[[], BrotliDecoder | ZstdDecoder]]:
    """Return the decoders whose packages are installed, by the names of their codings.

    Looks once.  Imports brotli, which is quick, to see whether it can be bounded, and zstandard not yet.
    """
    found: dict[str, Callable[[], BrotliDecoder | ZstdDecoder]] = {}
    if _brotli() is not None:
        found["br"] = BrotliDecoder
    if find_spec("zstandard") is not None:
        found["zstd"] = ZstdDecoder
    return found


@cache
def _brotli() -> Any:  # one of two packages with the same names, or None
    for name in ("brotli", "brotlicffi"):
        try:
            package = import_module(name)
        except ImportError:
            continue
        if hasattr(package.Decompressor, "can_accept_more_data"):
            return package
    return None
