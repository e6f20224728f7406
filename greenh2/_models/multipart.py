"""A MultipartBody is a form with files (RFC 7578), put together as it is sent: no file lies in memory."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any, Final, TypeAlias

from greenh2._models.body import CHUNK_SIZE, Body, RequestContent, RequestData, content_body
from greenh2._models.headers import check_field
from greenh2._models.parameters import boundary_of
from greenh2._models.query import PrimitiveData, text_of

FileTypes: TypeAlias = (
    RequestContent
    | tuple[str | None, RequestContent]
    | tuple[str | None, RequestContent, str | None]
    | tuple[str | None, RequestContent, str | None, Mapping[str, str]]
)
"""A file, its name before it, its content type behind it, and more headers of its part behind that."""
RequestFiles: TypeAlias = Mapping[str, FileTypes] | Sequence[tuple[str, FileTypes]]

# What may be part of a boundary, and how long one may be (RFC 2046 section 5.1.1).
_BOUNDARY_CHARS: Final = frozenset(
    "'()+_,-./:=? 0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
)
_LONGEST_BOUNDARY: Final = 70
# Percent signs as https://html.spec.whatwg.org/#escape-a-multipart-form-data-name has them, here for every
# control character; and a backslash in quotes is written twice (RFC 9110 section 5.6.4), as httpx has it.
_ESCAPES: Final = {code: f"%{code:02X}" for code in (*range(0x20), 0x22, 0x7F)} | {0x5C: "\\\\"}


class MultipartBody(Body):
    """The parts of a form, one behind the other, between boundaries.

    Its length is known if that of every part is.  It may be sent again if every part may be: bytes, and files
    that can seek.
    """

    __slots__ = ("_boundary", "_parts", "length", "replayable")

    def __init__(self, boundary: bytes, parts: Sequence[tuple[bytes, Body]]) -> None:
        self._boundary = boundary
        self._parts = parts
        self.replayable = all(body.replayable for _, body in parts)
        self.length = _length(boundary, parts)

    def chunks(self) -> Iterator[bytes]:
        """Return an iterator over the form, small parts joined, in chunks of 64 KiB or little more.

        Raises StreamConsumed when a part can be read only once, and was.  The iterator raises what reading a
        part raises.
        """
        return _joined(self._pieces([(head, body.chunks()) for head, body in self._parts]))

    def close(self) -> None:
        """Close generators among the parts; files stay as they are."""
        for _, body in self._parts:
            body.close()

    def _pieces(self, parts: list[tuple[bytes, Iterator[bytes]]]) -> Iterator[bytes]:
        for head, chunks in parts:
            yield b"--%b\r\n%b\r\n" % (self._boundary, head)
            yield from chunks
            yield b"\r\n"
        yield b"--%b--\r\n" % self._boundary


def encode_multipart(
    data: RequestData | None, files: RequestFiles, content_type: str | None = None
) -> tuple[str, MultipartBody]:
    """Return the Content-Type of a form with files, and its body: the fields of `data` first, then `files`.

    `content_type` is that of the request, if it was given.  A boundary in it is used, and is added where it
    is missing; what is not multipart stays as it is.  Raises TypeError for a field or file of another type,
    ValueError for a boundary that cannot be one, LocalProtocolError for a header that must not be sent.
    """
    given = boundary_of(content_type or "")
    boundary = os.urandom(16).hex() if given is None else _checked_boundary(given)
    if content_type is None:
        content_type = f"multipart/form-data; boundary={boundary}"
    elif given is None and content_type.lower().startswith("multipart/"):
        content_type = f"{content_type.rstrip('; ')}; boundary={boundary}"
    parts = [_field_part(name, value) for name, value in _fields(data or {})]
    parts += [_file_part(name, file) for name, file in _pairs(files)]
    return content_type, MultipartBody(boundary.encode("ascii"), parts)


def _fields(data: RequestData) -> Iterator[tuple[str, PrimitiveData | bytes]]:
    if not isinstance(data, Mapping):
        raise TypeError(f"data is a mapping to be sent as a form, not {_type(data)}.")
    for name, value in data.items():
        if isinstance(value, (list, tuple)):
            yield from ((name, item) for item in value)
        else:
            yield name, value


def _pairs(files: RequestFiles) -> Iterable[tuple[str, FileTypes]]:
    if isinstance(files, Mapping):
        return files.items()
    if not isinstance(files, (list, tuple)) or not all(
        isinstance(item, tuple) and len(item) == 2 for item in files
    ):
        raise TypeError(
            'files is a mapping or a list of pairs, each a name and a file, as in {"name": file}, '
            f"not {_type(files)}."
        )
    return files


def _field_part(name: str, value: PrimitiveData | bytes) -> tuple[bytes, Body]:
    if not isinstance(value, (str, bytes, int, float, type(None))):
        raise TypeError(f"The field {name!r} of a form is str, bytes or a number, not {_type(value)}.")
    return _head(name, None, None, {}), content_body(value if isinstance(value, bytes) else text_of(value))


def _file_part(name: str, file: FileTypes) -> tuple[bytes, Body]:
    filename, content, content_type, headers = _taken_apart(name, file)
    if filename is not None and not isinstance(filename, str):
        raise TypeError(f"The filename of {name!r} is a str or None, not {_type(filename)}.")
    try:
        body = content_body(content, whole=True)
    except TypeError as exc:
        raise TypeError(f"The file {name!r} cannot be sent. {exc}") from None
    return _head(name, filename, content_type, headers), body


def _taken_apart(
    name: str, file: FileTypes
) -> tuple[str | None, RequestContent, str | None, Mapping[str, str]]:
    if not isinstance(file, tuple):
        return _own_name(file), file, None, {}
    if not 2 <= len(file) <= 4:
        raise TypeError(
            f"The file {name!r} is a tuple of {len(file)}: it is (filename, file[, content type[, headers]])."
        )
    given: tuple[Any, ...] = file
    filename, content, content_type, headers = (*given, None, None)[:4]
    if content_type is not None and not isinstance(content_type, str):
        raise TypeError(f"The content type of the file {name!r} is a str or None, not {_type(content_type)}.")
    if headers is not None and not isinstance(headers, Mapping):
        raise TypeError(
            f"The headers of the file {name!r} are a mapping of str to str, not {_type(headers)}."
        )
    for field, value in (headers or {}).items():
        if not isinstance(field, str) or not isinstance(value, str):
            kinds = f"{_type(field)} to {_type(value)}"
            raise TypeError(f"The headers of the file {name!r} are a mapping of str to str, not of {kinds}.")
    return filename, content, content_type, headers or {}


def _own_name(file: object) -> str:
    name = getattr(file, "name", None)  # a number, if it was opened from a descriptor
    if not isinstance(name, (str, bytes, os.PathLike)):
        return "upload"
    # A name on disk need not be UTF-8, which the name in a form is.
    return os.path.basename(os.fsdecode(name)).encode("utf-8", "replace").decode("utf-8")


def _head(name: str, filename: str | None, content_type: str | None, headers: Mapping[str, str]) -> bytes:
    if not isinstance(name, str):
        raise TypeError(f"The name of a part of a form is a str, not {_type(name)}.")
    disposition = f'form-data; name="{name.translate(_ESCAPES)}"'
    if filename is not None:
        disposition += f'; filename="{filename.translate(_ESCAPES)}"'
    fields = {"Content-Disposition": disposition, **headers}
    if not any(field.lower() == "content-type" for field in headers):
        if content_type is None and filename is not None:
            content_type = _guessed_type(filename)
        if content_type is not None:
            fields["Content-Type"] = content_type
    lines = b""
    for field, value in fields.items():
        encoded = field.encode("utf-8")
        lines += b"%b: %b\r\n" % (encoded, check_field(encoded, value.encode("utf-8")))
    return lines


def _guessed_type(filename: str) -> str:
    import mimetypes  # reads the system's tables at first use

    return mimetypes.guess_type(filename)[0] or "application/octet-stream"


def _checked_boundary(boundary: str) -> str:
    fits = 0 < len(boundary) <= _LONGEST_BOUNDARY and not boundary.endswith(" ")
    if not fits or not _BOUNDARY_CHARS.issuperset(boundary):
        raise ValueError(
            f"{boundary[:80]!r} cannot be a boundary: it is 1 to 70 letters, digits and '()+_,-./:=? "
            "(RFC 2046 section 5.1.1)."
        )
    return boundary


def _length(boundary: bytes, parts: Sequence[tuple[bytes, Body]]) -> int | None:
    total = len(boundary) + len("----\r\n")
    for head, body in parts:
        if body.length is None:
            return None
        total += len(boundary) + len("--\r\n\r\n\r\n") + len(head) + body.length
    return total


def _joined(pieces: Iterator[bytes]) -> Iterator[bytes]:
    held: list[bytes] = []
    size = 0
    for piece in pieces:
        held.append(piece)
        size += len(piece)
        if size >= CHUNK_SIZE:
            yield b"".join(held)
            held.clear()
            size = 0
    yield b"".join(held)  # never empty: it holds the last boundary


def _type(value: object) -> str:
    return type(value).__name__
