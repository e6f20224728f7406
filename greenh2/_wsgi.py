"""WSGITransport hands requests to a WSGI application in this process, in place of the network (PEP 3333)."""

from __future__ import annotations

import re
import sys
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import suppress
from io import BytesIO
from types import TracebackType
from typing import TYPE_CHECKING, Any, TextIO
from urllib.parse import unquote_to_bytes

from greenh2._models.config import checked_switch
from greenh2._models.request import Request
from greenh2._models.response import Response
from greenh2._models.route import Route
from greenh2._models.transport import BaseTransport

if TYPE_CHECKING:
    from _typeshed.wsgi import WSGIApplication

    ExcInfo = tuple[type[BaseException], BaseException, TracebackType] | tuple[None, None, None]

_STATUS = re.compile(r"[0-9]{3}( [\x00-\xff]*)?")
_FORM_OF_HEADERS = frozenset((b"content-type", b"content-length", b"transfer-encoding"))


class WSGITransport(BaseTransport):
    """A transport that calls a WSGI application, for tests of one and for parts of one process.

        client = greenh2.Client(transport=greenh2.WSGITransport(app=app), base_url="http://testserver")

    The application runs in the greenlet of the caller, under no timeout.  The body of the request is read into memory
    before, so that CONTENT_LENGTH is always known.  The body of the response is iterated as it is read: a streamed
    response of an endless application works.  Its `close()` is called once, when the response is read or closed.

    `raise_app_exceptions`: whether an exception of the application passes through to the caller, as also one does
    that it reports by `start_response(..., exc_info)`.  If not, it is answered by what the application reports, or by
    status 500 when it raised before its head was known.  Exceptions in the midst of the body always pass.
    `script_name`, `remote_addr`: what the application finds as SCRIPT_NAME and REMOTE_ADDR.  PATH_INFO is the whole
    path of the URL in any case, as in httpx.
    `wsgi_errors`: where the application writes its errors; sys.stderr unless given.
    """

    def __init__(
        self,
        app: WSGIApplication,
        raise_app_exceptions: bool = True,
        script_name: str = "",
        remote_addr: str = "127.0.0.1",
        wsgi_errors: TextIO | None = None,
    ) -> None:
        if not callable(app):
            raise TypeError(f"app is a WSGI application, a function, and not {type(app).__name__}")
        for name, text in (("script_name", script_name), ("remote_addr", remote_addr)):
            if not isinstance(text, str):
                raise TypeError(f"{name} is a str, not {text!r}")
        if wsgi_errors is not None and not hasattr(wsgi_errors, "write"):
            raise TypeError(f"wsgi_errors is a file for text, not {wsgi_errors!r}")
        self.app = app
        self.raise_app_exceptions = checked_switch("raise_app_exceptions", raise_app_exceptions)
        self.script_name = script_name
        self.remote_addr = remote_addr
        self.wsgi_errors = wsgi_errors

    def handle_request(self, request: Request) -> Response:
        """Call the application and return its response as soon as its head is there.

        Raises what the application raises, and RuntimeError for one that breaks PEP 3333; so does reading the
        response, when a piece of its body is not bytes.
        """
        call = _Call(self.raise_app_exceptions)
        try:
            call.begin(self.app(self._environ(request), call.start_response))
        except BaseException as exc:
            with suppress(Exception):  # the error under way is the one to tell
                call.close()
            if self.raise_app_exceptions or not isinstance(exc, Exception):
                raise
            return Response(500, request=request)
        status, _, reason = call.status.partition(" ")
        return Response(
            int(status),
            headers=call.headers,
            stream=call,
            request=request,
            extensions={"reason_phrase": reason.encode("latin-1")},
        )

    def _environ(self, request: Request) -> dict[str, Any]:
        url, body = request.url, b"".join(request.body.chunks())
        path, _, query = url.raw_path.partition(b"?")
        route = Route.of(url)
        environ: dict[str, Any] = {
            "wsgi.version": (1, 0),
            "wsgi.url_scheme": url.scheme,
            "wsgi.input": BytesIO(body),
            "wsgi.errors": sys.stderr if self.wsgi_errors is None else self.wsgi_errors,
            "wsgi.multithread": True,
            "wsgi.multiprocess": False,
            "wsgi.run_once": False,
            "REQUEST_METHOD": request.method,
            "SCRIPT_NAME": self.script_name,
            "PATH_INFO": unquote_to_bytes(path).decode("latin-1"),
            "QUERY_STRING": query.decode("latin-1"),
            "SERVER_NAME": route.host,
            "SERVER_PORT": str(route.port),
            "SERVER_PROTOCOL": "HTTP/1.1",
            "REMOTE_ADDR": self.remote_addr,
        }
        if (content_type := request.headers.get("content-type")) is not None:
            environ["CONTENT_TYPE"] = content_type
        if body or "content-length" in request.headers or "transfer-encoding" in request.headers:
            environ["CONTENT_LENGTH"] = str(len(body))
        for name, value in request.headers.raw:
            if name.lower() not in _FORM_OF_HEADERS:
                key = "HTTP_" + name.decode("latin-1").upper().replace("-", "_")
                text = value.decode("latin-1")
                environ[key] = f"{environ[key]},{text}" if key in environ else text
        return environ

    def __repr__(self) -> str:
        return f"<WSGITransport {self.app!r}>"


class _Call:
    """One call of the application: what it said to start_response, and its body yet to be iterated."""

    def __init__(self, raises: bool) -> None:
        self.status = ""
        self.headers: list[tuple[bytes, bytes]] = []
        self._raises = raises
        self._written: list[bytes] = []  # by the write() that start_response returns
        self._handed_out = False
        self._close: Callable[[], object] | None = None
        self._at_work = False
        self._to_be_closed = False
        self._pieces: Iterator[bytes] = iter(())

    def start_response(
        self, status: str, headers: list[tuple[str, str]], exc_info: ExcInfo | None = None, /
    ) -> Callable[[bytes], None]:
        """Take the head of the response; a second one only with the error that calls for it."""
        error = exc_info[1] if exc_info else None
        if error is not None and (self._raises or self._handed_out):
            raise error
        if error is None and self.status:
            raise RuntimeError("The WSGI application called start_response() twice, and without exc_info.")
        checked, self.headers = _checked_status(status), _fields(headers)
        self.status = checked
        return self._write

    def begin(self, body: Iterable[bytes]) -> None:
        """Take the body, and as much of it as it takes to have the head."""
        self._close = getattr(body, "close", None)
        if not (isinstance(body, Iterable) or hasattr(body, "__getitem__")):
            raise RuntimeError(
                f"The WSGI application returned {type(body).__name__}, and not an iterable of bytes."
            )
        self._pieces = map(_checked_piece, body)
        for piece in self._pieces:
            if piece or self._written:
                # What was written before comes first.
                self._written.append(piece)
                break
        if not self.status:
            raise RuntimeError("The WSGI application never called start_response(), or too late.")
        self._handed_out = True

    def __iter__(self) -> Iterator[bytes]:
        yield from self._take_written()
        while (piece := self._next()) is not None:
            yield from self._take_written()
            yield piece
        yield from self._take_written()

    def close(self) -> None:
        """Call the close() of the application's body, once; when it waits for a greenlet, as soon as that is done."""
        if self._at_work:
            self._to_be_closed = True
            return
        close, self._close = self._close, None
        if close is not None:
            close()

    def _next(self) -> bytes | None:
        self._at_work = True
        try:
            return next(self._pieces, None)
        finally:
            self._at_work = False
            if self._to_be_closed:
                self.close()

    def _write(self, piece: bytes) -> None:
        self._written.append(_checked_piece(piece))

    def _take_written(self) -> list[bytes]:
        written, self._written[:] = self._written.copy(), []
        return written


def _checked_status(status: object) -> str:
    if not (isinstance(status, str) and _STATUS.fullmatch(status)):
        raise RuntimeError(f"The WSGI application gave {status!r} as a status, and not such as '200 OK'.")
    return status


def _fields(headers: object) -> list[tuple[bytes, bytes]]:
    if isinstance(headers, Mapping) or not isinstance(headers, Iterable):
        raise RuntimeError(
            f"The WSGI application gave its headers as {type(headers).__name__}, and not as a list of pairs."
        )
    fields: list[tuple[bytes, bytes]] = []
    for field in headers:
        match field:
            case (str(name), str(value)):
                try:
                    fields.append((name.encode("latin-1"), value.encode("latin-1")))
                except UnicodeEncodeError:
                    raise RuntimeError(
                        f"The header {name!r} of the WSGI application is not ISO-8859-1, which PEP 3333 has it be."
                    ) from None
            case _:
                raise RuntimeError(
                    f"The WSGI application gave {field!r} as a header, and not a name and a value, both str."
                )
    return fields


def _checked_piece(piece: object) -> bytes:
    if not isinstance(piece, bytes):
        raise RuntimeError(
            f"The WSGI application gave {type(piece).__name__} as part of its body, which is a list of bytes, or "
            "another iterable of them."
        )
    return piece
