"""A Response is a status, headers, and a body which is pulled from its stream as it is read."""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterator, Mapping
from contextlib import suppress
from time import perf_counter
from typing import TYPE_CHECKING, Any, Final

from greenh2._errors import HTTPError, ResponseNotRead, StreamClosed, StreamConsumed
from greenh2._models.answered import Answered
from greenh2._models.body import BytesBody, RequestContent, encode_response
from greenh2._models.bounds import check_announced, check_decoded, too_large
from greenh2._models.cookies import Cookies
from greenh2._models.decoders import make_decoder
from greenh2._models.headers import Headers, HeaderTypes
from greenh2._models.parameters import is_text_encoding
from greenh2._models.reading import as_lines, as_text, decoded, in_chunks
from greenh2._models.request import Request, extensions_of
from greenh2._models.status_error import status_error
from greenh2._models.streams import ResponseStream, checked_stream

if TYPE_CHECKING:
    from datetime import timedelta

_PICKLED: Final = (
    *("status_code", "headers", "trailers", "history", "next_request", "num_bytes_downloaded"),
    *("is_stream_consumed", "_request", "_content"),
)
# What of the extensions tells about the exchange and is not tied to a connection: pickling keeps it.
_LASTING: Final = ("http_version", "reason_phrase", "stream_id", "timings")


class Response(Answered):
    """What a server answered.

    Clients make these; tests and transports may: from `content`, `text`, `html` or `json`, which describe
    themselves in the headers and are read at once, or from a `stream`, which describes nothing.

    A streamed response must be read to its end or closed.  Iterating that fails or is given up closes it.
    Reading switches greenlets, and raises the errors of the network; DecodingError, when the body is not what
    its Content-Encoding says; StreamConsumed, when it is read a second time as a stream; StreamClosed.

    Pickling keeps the content if it was read, and no more of the extensions than describes the exchange.
    """

    __slots__ = (
        "__weakref__",
        "_content",
        "_cookies",
        "_elapsed",
        "_encoding",
        "_ended_at",
        "_most",
        "_started_at",
        "_text",
        "default_encoding",
        "history",
        "is_closed",
        "is_stream_consumed",
        "next_request",
        "num_bytes_downloaded",
        "stream",
        "trailers",
    )

    def __init__(
        self,
        status_code: int,
        *,
        headers: HeaderTypes | None = None,
        content: RequestContent | None = None,
        text: str | None = None,
        html: str | None = None,
        json: object = None,
        stream: ResponseStream | None = None,
        request: Request | None = None,
        extensions: Mapping[str, object] | None = None,
        history: list[Response] | None = None,
        default_encoding: str | Callable[[bytes], str] = "utf-8",
        trailers: HeaderTypes | None = None,
    ) -> None:
        if not isinstance(status_code, int):
            raise TypeError(f"status_code is an int, not {status_code!r}")
        self.status_code = status_code
        self.headers = Headers(headers)
        self.trailers = Headers(trailers)
        self.extensions = extensions_of(extensions)
        self.history: list[Response] = list(history) if history else []
        self.next_request: Request | None = None
        self.default_encoding = default_encoding
        self.is_closed = False
        self.is_stream_consumed = False
        self.num_bytes_downloaded = 0
        if request is not None and not isinstance(request, Request):
            raise TypeError(f"The request of a response is a Request, not {type(request).__name__}")
        self._request = request
        self._content: bytes | None = None
        self._text: str | None = None
        self._encoding: str | None = None
        # The most bytes that the body may have, as received and as decoded; None without bound.
        self._most: int | None = None
        self._cookies: Cookies | None = None
        self._elapsed: timedelta | None = None
        # When a client began to send the request, and when the response was closed: by perf_counter().
        self._started_at: float | None = None
        self._ended_at: float | None = None
        self.stream: ResponseStream
        if stream is not None:
            self.stream = checked_stream(stream)
            return
        fields, self.stream = encode_response(content, text, html, json)
        for name, value in fields:
            if name != "Transfer-Encoding" or "content-length" not in self.headers:
                self.headers.setdefault(name, value)
        if isinstance(self.stream, BytesBody):
            self.read()

    @property
    def elapsed(self) -> timedelta:
        """The time from sending the request to closing the response.  Raises RuntimeError before that."""
        if self._elapsed is None:
            if self._started_at is None or self._ended_at is None:
                raise RuntimeError(
                    "elapsed is known when the response has been read or closed, and a client sent it."
                )
            from datetime import timedelta  # most who send requests never ask

            self._elapsed = timedelta(seconds=self._ended_at - self._started_at)
        return self._elapsed

    @elapsed.setter
    def elapsed(self, elapsed: timedelta) -> None:
        self._elapsed = elapsed

    @property
    def _started(self) -> float | None:
        return self._started_at

    @_started.setter
    def _started(self, started: float) -> None:
        self._started_at = started
        if self.is_closed:  # as one that was made from content is by then
            self._ended_at = perf_counter()

    @property
    def content(self) -> bytes:
        """The decoded body.  Raises ResponseNotRead before `read()`."""
        if self._content is None:
            raise ResponseNotRead
        return self._content

    @property
    def text(self) -> str:
        """The body as text, by `encoding`; what cannot be decoded becomes U+FFFD.  Raises ResponseNotRead."""
        if self._text is None:
            self._text = self.content.decode(self.encoding, "replace")
        return self._text

    @property
    def encoding(self) -> str:
        """How text is decoded: as was set, or as Content-Type says, or as `default_encoding` says.

        The latter may be a function of the content, which is asked once the content is read; "utf-8" until
        then.
        """
        if self._encoding is not None:
            return self._encoding
        encoding = self.charset_encoding
        if encoding is None or not is_text_encoding(encoding):
            if isinstance(self.default_encoding, str):
                encoding = self.default_encoding
            elif self._content is None:
                return "utf-8"
            else:
                encoding = self.default_encoding(self._content)
        self._encoding = encoding or "utf-8"
        return self._encoding

    @encoding.setter
    def encoding(self, encoding: str | None) -> None:
        if encoding is not None and not isinstance(encoding, str):
            raise TypeError(f"The encoding of a response is the name of one, not {encoding!r}")
        if self._text is not None:
            raise ValueError("The encoding cannot be set any more: text has been decoded by it.")
        self._encoding = encoding

    def json(self, **kwargs: Any) -> Any:  # as json.loads, whose arguments these are
        """Parse the body as JSON.  Raises ResponseNotRead; ValueError for what is no JSON."""
        import json  # many never want it

        return json.loads(self.content, **kwargs)

    @property
    def cookies(self) -> Cookies:
        """The cookies that this response sets.  Raises RuntimeError when it sets any and has no request."""
        if self._cookies is None:
            self._cookies = Cookies()
            self._cookies.extract_cookies(self)
        return self._cookies

    def raise_for_status(self) -> Response:
        """Return the response if its status is 2xx, else raise HTTPStatusError.

        Raises RuntimeError when the response has no request.
        """
        request = self.request
        if self.is_success:
            return self
        raise status_error(request, self)

    def read(self) -> bytes:
        """Read the whole body, which closes the response, and return it decoded.  May be called again."""
        if self._content is None:
            whole = self._take_whole()
            self._content = b"".join(self.iter_bytes()) if whole is None else whole
        return self._content

    def iter_raw(self, chunk_size: int | None = None) -> Generator[bytes, None, None]:
        """Iterate over the body as it arrives, or in chunks of so many bytes, without decoding it."""
        self._begin()
        try:
            yield from in_chunks(self._pull(), chunk_size)
        except GeneratorExit:
            self._let_go()
            raise
        except BaseException as exc:
            self._fail(exc)
            raise
        self.close()

    def iter_bytes(self, chunk_size: int | None = None) -> Generator[bytes, None, None]:
        """Iterate over the decoded body as it arrives, or in chunks of so many bytes; also after `read()`."""
        if self._content is not None:
            yield from in_chunks(iter([self._content] if self._content else []), chunk_size)
            return
        self._begin()
        try:
            pieces = decoded(self._pull(), make_decoder(self.headers), self._check)
            yield from in_chunks(pieces, chunk_size)
        except GeneratorExit:
            self._let_go()
            raise
        except BaseException as exc:
            self._fail(exc)
            raise
        self.close()

    def iter_text(self, chunk_size: int | None = None) -> Generator[str, None, None]:
        """Iterate over the body as text, by `encoding`, or in chunks of so many characters."""
        pieces = self.iter_bytes()
        try:
            yield from as_text(pieces, self.encoding, chunk_size)
        finally:
            pieces.close()

    def iter_lines(self) -> Generator[str, None, None]:
        """Iterate over the lines of the text, without their ends, split where `str.splitlines()` does."""
        texts = self.iter_text()
        try:
            yield from as_lines(texts)
        finally:
            texts.close()

    def close(self) -> None:
        """Let go of the exchange, whether the body was read or not.  May be called twice, from anywhere."""
        if self.is_closed:
            return
        self.is_closed = True
        self._ended_at = perf_counter()
        self.stream.close()

    def __repr__(self) -> str:
        return f"<Response [{f'{self.status_code} {self.reason_phrase}'.rstrip()}]>"

    def __getstate__(self) -> dict[str, Any]:
        state = {name: getattr(self, name) for name in _PICKLED}
        state["_elapsed"] = self.elapsed if self._ended_at and self._started_at else self._elapsed
        state["extensions"] = {name: self.extensions[name] for name in _LASTING if name in self.extensions}
        state["_encoding"] = self._encoding if self._content is None else self.encoding
        return state

    def __setstate__(self, state: dict[str, Any]) -> None:
        for name, value in state.items():
            setattr(self, name, value)
        self.default_encoding = "utf-8"
        self.stream = BytesBody()
        self.is_closed = True
        self._text = self._cookies = self._started_at = self._ended_at = self._most = None

    def _begin(self) -> None:
        if self.is_stream_consumed:
            raise StreamConsumed("The body of the response has been streamed already, which works only once.")
        if self.is_closed:
            raise StreamClosed("The body of the response cannot be read: the response has been closed.")
        self.is_stream_consumed = True

    def _pull(self) -> Iterator[bytes]:
        most = self._most
        if most is not None:
            check_announced(most, self.headers, self._request)
        for piece in self.stream:
            self._check_open()
            if piece:
                self.num_bytes_downloaded += len(piece)
                if most is not None and self.num_bytes_downloaded > most:
                    raise too_large(most, "has more", self._request)
                yield piece
        self._check_open()
        self._take_trailers()

    def _check_open(self) -> None:
        # Another greenlet may have closed it: a stream that ends of it has not come to the end of the body.
        if self.is_closed:
            raise StreamClosed("The response was closed before it was read to its end.")

    def _take_whole(self) -> bytes | None:
        """Return a body that is there already and needs no decoding, as most small ones are; else None."""
        take_whole: Callable[[], bytes | None] | None = getattr(self.stream, "take_whole", None)
        if take_whole is None or self._most is not None or self.is_stream_consumed or self.is_closed:
            return None
        if b"content-encoding" in self.headers.raw_names or (whole := take_whole()) is None:
            return None
        self.is_stream_consumed = True
        self.num_bytes_downloaded = len(whole)
        self._take_trailers()
        self.close()
        return whole

    def _take_trailers(self) -> None:
        trailers: list[tuple[bytes, bytes]] | None = getattr(self.stream, "trailers", None)
        if trailers:
            self.trailers = Headers.from_raw(list(trailers))

    def _check(self, taken: int, made: int) -> None:
        check_decoded(self._most, taken, made, self._request)
        give_way: Callable[[], None] | None = getattr(self.stream, "give_way", None)
        if give_way is not None:
            give_way()

    def _fail(self, error: BaseException) -> None:
        with suppress(Exception):  # the error under way is the one to tell, and may be somebody's Timeout
            self.close()
        if isinstance(error, HTTPError) and error._request is None and self._request is not None:
            error.request = self._request

    def _leave(self) -> None:
        """Close, and soon where it may be the collector that asks for it."""
        close_soon = getattr(self.stream, "close_soon", None)
        if close_soon is None or self.is_closed:
            self.close()
            return
        self.is_closed = True
        self._ended_at = perf_counter()
        close_soon()

    def _let_go(self) -> None:
        """The body is read no further.  The collector may have found that out, in whose midst nothing is closed."""
        let_go = getattr(self.stream, "let_go", None)
        if let_go is None:
            self.close()
        else:
            let_go()
