"""A Request is a method, a URL, headers and a body: all that is sent, before it is."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any, Final

from greenh2._errors import LocalProtocolError, RequestNotRead
from greenh2._models.body import Body, BytesBody, LostBody, RequestContent, RequestData, encode_body
from greenh2._models.cookies import Cookies, CookieTypes
from greenh2._models.headers import TOKEN_CHARS, Headers, HeaderTypes
from greenh2._models.url import URL, QueryParamTypes

if TYPE_CHECKING:
    from greenh2._models.multipart import RequestFiles

_KNOWN_METHODS: Final = frozenset(
    ("GET", "HEAD", "POST", "PUT", "DELETE", "PATCH", "OPTIONS", "TRACE", "CONNECT")
)
# A server may refuse these without a length (RFC 9110 section 8.6), so an empty body says that it is empty.
_METHODS_WITH_BODY: Final = frozenset(("POST", "PUT", "PATCH"))


# Digits of a Content-Length: 18 say an exabyte.
_LONGEST_LENGTH: Final = 18


class Request:
    """What is to be sent.

    `params` replaces the query of the URL, as in httpx.  One of `content`, `data` (a form; with `files`, a
    multipart one) and `json` makes the body; `stream` is another name for `content`.  Headers that are not
    given are added: Host in the first place, Content-Type for a form or JSON, Content-Length when the length
    is known and else Transfer-Encoding: chunked, Cookie for `cookies`.
    `extensions` carries, by name, what is not HTTP: "timeout", "trace", "sni_hostname"...

    Raises LocalProtocolError for a method, header name or value that must not be sent, for both
    Content-Length and Transfer-Encoding, and for a Content-Length that is wrong; InvalidURL; TypeError.
    Pickling keeps all but the extensions and a body which is not in memory.
    """

    __slots__ = ("__weakref__", "body", "extensions", "headers", "method", "url")

    method: str
    url: URL
    headers: Headers
    body: Body
    extensions: dict[str, Any]  # values of any type by agreed names, each checked where it is used

    def __init__(
        self,
        method: str,
        url: URL | str,
        *,
        params: QueryParamTypes | None = None,
        headers: HeaderTypes | None = None,
        cookies: CookieTypes | None = None,
        content: RequestContent | None = None,
        data: RequestData | None = None,
        files: RequestFiles | None = None,
        json: object = None,
        stream: Iterable[bytes] | None = None,
        extensions: Mapping[str, object] | None = None,
    ) -> None:
        if stream is not None:
            if content is not None:
                raise TypeError("A request has one body: stream is another name for content, give only one.")
            content = stream
        self.method = _checked_method(method)
        if params is not None:
            self.url = URL(url, params=params)
        else:
            self.url = url if isinstance(url, URL) else URL(url)
        self.headers = Headers(headers)
        self.extensions = extensions_of(extensions)
        content_type = self.headers.get("content-type") if files else None
        body_headers, self.body = encode_body(content, data, json, files, content_type)
        if content_type is not None:  # a boundary may have been added to it
            self.headers["Content-Type"] = dict(body_headers)["Content-Type"]
        self._complete(body_headers)
        if cookies:
            Cookies(cookies).set_cookie_header(self)
        self.headers.check()

    @property
    def stream(self) -> Body:
        """The body; iterating it gives its chunks."""
        return self.body

    @property
    def content(self) -> bytes:
        """The body as bytes.  Raises RequestNotRead when it is a stream: call `read()` first."""
        if isinstance(self.body, BytesBody):
            return self.body.content
        raise RequestNotRead

    def read(self) -> bytes:
        """Read the body into memory, whence it may be sent any number of times, and return it.

        Raises StreamConsumed when it was a stream, and is used up, StreamClosed when pickling has lost it.
        """
        if not isinstance(self.body, BytesBody):
            self.body = BytesBody(b"".join(self.body.chunks()))
        return self.body.content

    def __repr__(self) -> str:
        return f"<Request({self.method!r}, {self.url.redacted!r})>"

    def __getstate__(self) -> tuple[str, URL, Headers, bytes | None]:
        content = self.body.content if isinstance(self.body, BytesBody) else None
        return self.method, self.url, self.headers, content

    def __setstate__(self, state: tuple[str, URL, Headers, bytes | None]) -> None:
        self.method, self.url, self.headers, content = state
        self.extensions = {}
        if content is not None:
            self.body = BytesBody(content)
        else:
            self.body = LostBody()

    def _complete(self, body_headers: list[tuple[str, str]]) -> None:
        headers, names = self.headers, self.headers.raw_names
        if b"host" not in names:
            if authority := self.url.authority:
                headers.prepend(b"Host", authority)
        elif len(headers.get_list("host")) > 1:
            raise LocalProtocolError("The request has several Host headers (RFC 9112 section 3.2): give one.")
        if b"content-length" in names or b"transfer-encoding" in names:
            if (length := headers.get("content-length")) is not None:
                _check_length(length, headers, self.body)
            body_headers = [field for field in body_headers if field[0] == "Content-Type"]
        elif not body_headers and self.method in _METHODS_WITH_BODY:
            body_headers = [("Content-Length", "0")]
        for name, value in body_headers:
            if name != "Content-Type" or b"content-type" not in names:
                headers.append(name.encode("ascii"), value.encode("ascii"))


def extensions_of(extensions: object) -> dict[str, Any]:
    """Return what ``extensions=`` was given, as a dict of its own.  Raises TypeError for what is no mapping."""
    if extensions is None:
        return {}
    if not isinstance(extensions, (dict, Mapping)):  # nearly all are dicts, and that is told sooner
        raise TypeError(
            f'extensions are a mapping by names, as {{"trace": function}}, not {type(extensions).__name__}'
        )
    return dict(extensions)


def _checked_method(method: str) -> str:
    if not isinstance(method, str):
        raise TypeError(f"The method of a request is a str, not {type(method).__name__}")
    upper = method.upper()
    if upper in _KNOWN_METHODS:
        return upper
    if not upper or not upper.isascii() or upper.encode("ascii").translate(None, TOKEN_CHARS):
        raise LocalProtocolError(f"{method!r} cannot be the method of a request: it is not a token.")
    return upper


def declared_length(request: Request) -> int | None:
    """Return how many bytes of body are promised, None when that is not known before the end.

    Raises LocalProtocolError as the making of the request did: its headers may have been changed since.
    """
    changed, length = request.headers.check(), request.body.length
    if (changed or length is None) and (given := request.headers.get("content-length")) is not None:
        _check_length(given, request.headers, request.body)
        length = int(given)
    return length


def _check_length(length: str, headers: Headers, body: Body) -> None:
    if "transfer-encoding" in headers:
        raise LocalProtocolError(
            "The request has both Content-Length and Transfer-Encoding, by which requests are smuggled "
            "(RFC 9112 section 6.2): remove one of them."
        )
    if not (length.isascii() and length.strip().isdigit() and len(length) <= _LONGEST_LENGTH):
        raise LocalProtocolError(f"Content-Length is {length[:64]!r}, which is not one number of bytes.")
    if body.length is not None and int(length) != body.length:
        raise LocalProtocolError(f"Content-Length is {length}, but the body has {body.length} bytes.")
