"""A Body is what a request sends behind its headers: bytes, an iterable of bytes, or a file."""

from __future__ import annotations

import io
import types
from abc import ABC, abstractmethod
from collections.abc import Callable, Generator, Iterable, Iterator, Mapping
from functools import lru_cache
from typing import TYPE_CHECKING, Final, Protocol, runtime_checkable
from urllib.parse import urlencode

from greenh2._errors import StreamClosed, StreamConsumed
from greenh2._models.query import PrimitiveData, name_of, text_of
from greenh2._models.streams import SyncByteStream

if TYPE_CHECKING:
    from json import JSONEncoder

    from greenh2._models.multipart import RequestFiles

CHUNK_SIZE: Final = 65_536
"""How many bytes of a file are read and sent at a time."""


@lru_cache(maxsize=1)
def _json() -> JSONEncoder:
    import json  # many never want it

    return json.JSONEncoder(ensure_ascii=False, separators=(",", ":"), allow_nan=False)


@runtime_checkable
class BinaryFile(Protocol):
    """What a file needs to be sent; one that can also seek and tell is measured, and may be sent again."""

    def read(self, size: int, /) -> bytes:
        """Return up to that many bytes, b"" at the end."""
        ...


FormValue = PrimitiveData | bytes
RequestData = Mapping[str, FormValue | list[FormValue] | tuple[FormValue, ...]]


class Body(SyncByteStream, ABC):
    """What all bodies have in common."""

    __slots__ = ()

    #: How many bytes it has, None when that is not known before the end.
    length: int | None
    #: Whether it may be sent a second time.
    replayable: bool

    @abstractmethod
    def chunks(self) -> Iterator[bytes]:
        """Return an iterator over the bytes, from their beginning."""

    def __iter__(self) -> Iterator[bytes]:
        return self.chunks()

    @abstractmethod
    def close(self) -> None:
        """Let go of what produces the bytes.  May be called twice."""


RequestContent = str | bytes | bytearray | memoryview | Iterable[bytes] | BinaryFile | Body


class BytesBody(Body):
    """A body that lies in memory.  It may be sent any number of times."""

    __slots__ = ("content", "length")

    replayable: bool = True

    def __init__(self, content: bytes = b"") -> None:
        self.content = content
        self.length = len(content)

    def chunks(self) -> Iterator[bytes]:
        """Return the bytes, in one piece, or none if there are none."""
        return iter((self.content,) if self.content else ())

    def close(self) -> None:
        """Do nothing: there is nothing to let go of."""


class IterableBody(Body):
    """A body that an iterable of bytes produces as it is sent.  Its length is not known.

    An iterator, such as a generator, can be sent once; any other iterable as often as it can be iterated.
    """

    __slots__ = ("_iterable", "_used", "replayable")

    length: int | None = None

    def __init__(self, iterable: Iterable[bytes]) -> None:
        self._iterable = iterable
        self._used = False
        self.replayable = not isinstance(iterable, Iterator)

    def chunks(self) -> Iterator[bytes]:
        """Return an iterator over the chunks, from their beginning, empty ones included: who sends them may stop there.

        Raises StreamConsumed when the iterable can be used only once, and was.  The iterator raises TypeError
        for a chunk that is not bytes.  Iterating runs the caller's code, which may switch greenlets.
        """
        if self._used and not self.replayable:
            raise StreamConsumed(
                "The body of the request was made from an iterator, is used up, and cannot be sent again: "
                "give the content as bytes, a list or a file to make that possible."
            )
        self._used = True
        return self._iterate()

    def close(self) -> None:
        """Close a generator which has been begun, so that its `finally` runs now.  May be called twice.

        What can be iterated several times may just be sent by others too: each closes the chunks of its own.
        """
        if self._used and isinstance(self._iterable, Iterator):
            finish(self._iterable)

    def _iterate(self) -> Iterator[bytes]:
        running = iter(self._iterable)
        try:
            for chunk in running:
                yield _as_bytes(chunk, "yielded")
        finally:
            finish(running)


class OnceBody(Body):
    """A body that can be read only once, as one sending of its request has it: closed only where it was begun."""

    __slots__ = ("_body", "length", "replayable")

    def __init__(self, body: Body) -> None:
        self._body = body
        #: Until it was begun: what never left can be sent on another connection.
        self.replayable = True
        self.length = body.length

    def chunks(self) -> Iterator[bytes]:
        """Return the iterator of the body.  Raises as that does when it is used up."""
        chunks = self._body.chunks()
        self.replayable = False
        return chunks

    def close(self) -> None:
        """Close the body if it was begun here: another greenlet may be sending it."""
        if not self.replayable:
            self._body.close()


class LostBody(Body):
    """What is left of a body that was a stream when its request was pickled: nothing that could be read."""

    __slots__ = ()

    length: int | None = None
    replayable: bool = False

    def chunks(self) -> Iterator[bytes]:
        """Raise StreamClosed."""
        raise StreamClosed(
            "The body of the request was a stream and was left behind when the request was pickled: read() it before."
        )

    def close(self) -> None:
        """Do nothing: there is nothing to let go of."""


class FileBody(Body):
    """A body that is read from a binary file, 64 KiB at a time: from where it stands, or all of it if it can seek.

    A file that can seek is measured, and may be sent again.  What is added to it after it was measured is not
    sent.  The file is never closed here: who opened it does that.  Reading a file on disk blocks all
    greenlets for as long as it takes.
    """

    __slots__ = ("_file", "_start", "_used", "length", "replayable")

    def __init__(self, file: BinaryFile, *, whole: bool = False) -> None:
        self._file = file
        self._used = False
        self._start, self.length = _measure(file, whole)
        self.replayable = self.length is not None

    def chunks(self) -> Iterator[bytes]:
        """Return an iterator over the chunks, from the same place each time.

        Raises StreamConsumed when the file cannot seek, and was read.  The iterator raises TypeError when the
        file was opened as text, and whatever reading raises.
        """
        if self._used and not self.replayable:
            raise StreamConsumed(
                "The body of the request was read from a file that cannot seek: it cannot be sent again."
            )
        self._used = True
        return self._read()

    def close(self) -> None:
        """Do nothing: the file belongs to its opener."""

    def _read(self) -> Iterator[bytes]:
        left = self.length
        if left is None:
            while data := _as_bytes(self._file.read(CHUNK_SIZE), "read"):
                yield data
            return
        position = self._start
        while left > 0:
            # Each time: others may send it too, or look into it.
            self._file.seek(position)  # type: ignore[attr-defined]  # _measure() has seen that it can
            if not (data := _as_bytes(self._file.read(min(left, CHUNK_SIZE)), "read")):
                return
            left -= len(data)
            position += len(data)
            yield data


def encode_body(
    content: RequestContent | None = None,
    data: RequestData | None = None,
    json: object = None,
    files: RequestFiles | None = None,
    content_type: str | None = None,
) -> tuple[list[tuple[str, str]], Body]:
    """Return the headers that describe a body, and the body.

    `content` is sent as it is, str as UTF-8; `data` as a form (application/x-www-form-urlencoded); `files`,
    and `data` beside them, as a form with files (multipart/form-data), with the boundary of `content_type` if
    there is one; `json` as compact JSON in UTF-8.  Without any there is an empty body, and no header.  Raises
    TypeError for more than one, or of the wrong type; ValueError for NaN and infinity in JSON.
    """
    if (content is not None) + bool(data or files) + (json is not None) > 1:
        raise TypeError(
            "A request has one body: give only one of content, data and json; files may stand beside data."
        )
    if content is not None:
        body = content_body(content)
        return ([_framing(body)] if body.length != 0 else []), body
    if files:
        from greenh2._models.multipart import encode_multipart  # which builds on this module

        content_type, form = encode_multipart(data, files, content_type)
        return [_framing(form), ("Content-Type", content_type)], form
    if data:
        if not isinstance(data, Mapping):
            other = (
                'several values of one name are {"name": ["a", "b"]}'
                if isinstance(data, (list, tuple))
                else "use content for raw bytes"
            )
            raise TypeError(f"data is a mapping to be sent as a form, not {_name(data)}: {other}.")
        return _described(_urlencoded(data), "application/x-www-form-urlencoded")
    if json is not None:
        return _described(_json().encode(json).encode("utf-8"), "application/json")
    return [], BytesBody()


def encode_response(
    content: RequestContent | None, text: str | None, html: str | None, json: object
) -> tuple[list[tuple[str, str]], Body]:
    """Return the headers that describe the body of a response made by hand, and the body."""
    if content is not None:
        return encode_body(content)
    for name, given in (("text", text), ("html", html)):
        if given is not None:
            if not isinstance(given, str):
                raise TypeError(f"The {name} of a response is a str, not {_name(given)}: bytes are content.")
            kind = "plain" if name == "text" else "html"
            return _described(given.encode("utf-8"), f"text/{kind}; charset=utf-8")
    return encode_body(json=json)


def _urlencoded(data: RequestData) -> bytes:
    pairs = [
        (_plain(name, name_of), _plain(one, text_of))
        for name, value in data.items()
        for one in (value if isinstance(value, (list, tuple)) else [value])
    ]
    return urlencode(pairs).encode("ascii")


def _plain(given: PrimitiveData | bytes, as_text: Callable[[PrimitiveData], str]) -> str | bytes:
    return given if isinstance(given, bytes) else as_text(given)


def _described(content: bytes, content_type: str) -> tuple[list[tuple[str, str]], Body]:
    return [("Content-Length", str(len(content))), ("Content-Type", content_type)], BytesBody(content)


def _framing(body: Body) -> tuple[str, str]:
    if body.length is None:
        return "Transfer-Encoding", "chunked"
    return "Content-Length", str(body.length)


def content_body(content: RequestContent, *, whole: bool = False) -> Body:
    """Return the body that such content makes: of a file what is left of it, or the `whole`.  Raises TypeError."""
    match content:
        case bytes():
            return BytesBody(content)
        case str():
            return BytesBody(content.encode("utf-8"))
        case bytearray() | memoryview():
            return BytesBody(bytes(content))
        case Body():
            return content
        case Mapping():
            raise TypeError(
                f"content is bytes, str, an iterable of bytes or a file: {_name(content)} is data or json."
            )
        case BinaryFile():
            return FileBody(content, whole=whole)
        case list() | tuple():
            for chunk in content:
                _check_chunk(chunk, "holds")
            return IterableBody(content)
        case Iterable():
            return IterableBody(content)
        case _:
            raise TypeError(f"content is bytes, str, an iterable of bytes or a file, not {_name(content)}.")


def _measure(file: BinaryFile, whole: bool) -> tuple[int, int | None]:
    if isinstance(file, io.TextIOBase):
        raise TypeError('The file to be sent is opened as text: open it with mode "rb".')
    try:
        start: int = file.tell()  # type: ignore[attr-defined]  # files without it are caught below
        file.seek(0, io.SEEK_END)  # type: ignore[attr-defined]
        end: int = file.tell()  # type: ignore[attr-defined]  # not every seek() returns it
        file.seek(start)  # type: ignore[attr-defined]
    except (AttributeError, OSError):
        return 0, None
    return (0, end) if whole else (start, max(0, end - start))


def finish(running: Iterator[bytes]) -> None:
    """Close what makes the chunks of a body if that is a generator, unless it is at work at this moment."""
    if isinstance(running, types.GeneratorType) and running.gi_running:
        return  # Another greenlet is inside it, and will leave it by itself.
    if isinstance(running, Generator):
        running.close()


def _as_bytes(chunk: object, how: str) -> bytes:
    if isinstance(chunk, bytes):
        return chunk
    return bytes(_check_chunk(chunk, how))


def _check_chunk(chunk: object, how: str) -> bytes | bytearray | memoryview:
    if isinstance(chunk, (bytes, bytearray, memoryview)):
        return chunk
    hint = ': encode it, or open the file with mode "rb"' if isinstance(chunk, str) else ""
    raise TypeError(f"The body of the request {how} {_name(chunk)}, which is not bytes{hint}.")


def _name(value: object) -> str:
    return type(value).__name__
