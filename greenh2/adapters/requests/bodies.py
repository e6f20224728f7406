"""From a PreparedRequest to a Request of greenh2: the same method, URL, headers and body, nothing decided anew."""

from __future__ import annotations

import io
import re
from collections.abc import Generator, Iterable, Iterator
from http.client import HTTPException
from typing import Any, Final
from urllib.parse import quote

import urllib3.exceptions as beneath
from requests.models import PreparedRequest
from urllib3.util import SKIP_HEADER, Timeout

import greenh2._models.timeouts as ours
from greenh2._models.body import Body, BytesBody, FileBody, IterableBody
from greenh2._models.request import Request

# What needs no escape in a path, and in a query (RFC 3986 sections 3.3 and 3.4).
_IN_PATH: Final = "!$&'()*+,;=:@/"
_IN_QUERY: Final = f"{_IN_PATH}?"
# What urllib3 takes for trouble of the connection, whoever has raised it.
_TROUBLE: Final = (OSError, HTTPException, beneath.ProtocolError, beneath.TimeoutError, beneath.SSLError)
_ESCAPE: Final = re.compile("%[0-9A-Fa-f]{2}")


def request_of(prepared: PreparedRequest, timeout: ours.Timeout) -> Request:
    """Return what is to be sent.  Raises InvalidURL, LocalProtocolError, TypeError, UnicodeEncodeError."""
    fields = [
        (_latin(name), _latin(value)) for name, value in prepared.headers.items() if not _skipped(value)
    ]
    request = Request(
        prepared.method or "GET",
        prepared.url or "",
        headers=fields,
        content=_body(prepared.body),
        extensions={"timeout": timeout},
    )
    request.extensions["target"] = _target(prepared.path_url)  # which needs a URL that is one
    return request


def _target(path_url: str) -> bytes:
    """Return the path and query as urllib3 puts them on the wire: escaped where need be, and otherwise as they are.

    So what a program has written into the URL of a prepared request, dots and all, is what the server sees.
    """
    path, mark, query = path_url.partition("?")
    return f"{_escaped(path, _IN_PATH)}{mark}{_escaped(query, _IN_QUERY)}".encode("ascii")


def _escaped(text: str, safe: str) -> str:
    if len(_ESCAPE.findall(text)) == text.count("%"):
        text, safe = _ESCAPE.sub(lambda found: found[0].upper(), text), f"{safe}%"
    return quote(text, safe=safe)


def timeout_of(timeout: Any) -> ours.Timeout:
    """Return the bounds that requests means: a number, (connect, read), a Timeout of urllib3, or None.

    `connect` bounds the wait for a place in the pool as well, and `read` the wait for the server to take any of the
    body.  A `total` of urllib3 bounds both, each by itself, and not the whole.  Raises ValueError as urllib3 does.
    """
    if isinstance(timeout, tuple):
        if len(timeout) != 2:
            raise ValueError(f"timeout={timeout!r}: it is a number of seconds, or a pair (connect, read)")
        timeout = Timeout(connect=timeout[0], read=timeout[1])
    elif not isinstance(timeout, Timeout):
        timeout = Timeout(connect=timeout, read=timeout)
    started = timeout.clone()
    started.start_connect()
    connect = Timeout.resolve_default_timeout(started.connect_timeout)
    read = Timeout.resolve_default_timeout(started.read_timeout)
    return ours.Timeout(connect=connect, read=read, write=read, pool=connect)


class BrokenBody(Exception):
    """Whoever makes the body of a request has failed as a connection may fail; the `__cause__` is what was raised."""


class _Source(Body):
    """A body that a user makes while it is sent, and whose failures are told from those of the connection."""

    def __init__(self, body: Body) -> None:
        self._body = body
        self.length = body.length
        self.replayable = body.replayable

    def chunks(self) -> Iterator[bytes]:
        """Return the chunks.  Iterating raises BrokenBody, and whatever else their maker raises."""
        try:
            yield from self._body.chunks()
        except _TROUBLE as exc:
            raise BrokenBody(f"the body of the request failed: {exc!r}") from exc

    def close(self) -> None:
        self._body.close()


class _Encoded:
    """The pieces of an iterable, text as UTF-8."""

    def __init__(self, pieces: Iterable[bytes | str]) -> None:
        self._pieces = pieces

    def __iter__(self) -> Iterator[bytes]:
        for piece in self._pieces:
            yield piece.encode("utf-8") if isinstance(piece, str) else piece


class _TextFile:
    """Reads a text file as UTF-8, from where it stands."""

    def __init__(self, file: Any) -> None:
        self._file = file

    def read(self, size: int) -> bytes:
        text: str = self._file.read(size)
        return text.encode("utf-8")


def _body(body: Any) -> Body | None:
    # A PreparedRequest has any of what its user gave, str included.
    match body:
        case None:
            return None
        case str():
            return BytesBody(body.encode("utf-8"))
        case bytes() | bytearray() | memoryview():
            return BytesBody(bytes(body))
        case io.TextIOBase():
            return _Source(FileBody(_TextFile(body)))
        case _ if hasattr(body, "read"):
            return _Source(FileBody(body))
        case Iterator():
            return _Source(IterableBody(_once(body)))
        case Iterable():
            return _Source(IterableBody(_Encoded(body)))
        case _:
            raise TypeError(
                f"the body of a request is bytes, str, a file or an iterable, not {type(body).__name__}"
            )


def _once(pieces: Iterator[bytes | str]) -> Iterator[bytes]:
    """Return a generator that ends the user's, if it is one, when it is closed itself."""
    try:
        yield from _Encoded(pieces)
    finally:
        if isinstance(pieces, Generator):
            pieces.close()


def _latin(text: str | bytes) -> bytes:
    return text.encode("latin-1") if isinstance(text, str) else text


def _skipped(value: str | bytes) -> bool:
    """Tell whether a field is only there to keep urllib3 from adding its own, which is never added here."""
    return value == SKIP_HEADER
