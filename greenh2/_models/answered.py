"""What is told of a response beside its body: by its status, its headers, and whoever brought it."""

from __future__ import annotations

from typing import Any, Final

from greenh2._models.codes import codes
from greenh2._models.headers import Headers
from greenh2._models.parameters import charset_of, parse_links
from greenh2._models.request import Request
from greenh2._models.url import URL

_REDIRECTS: Final = frozenset((301, 302, 303, 307, 308))


class Answered:
    """A response without its body; see Response."""

    __slots__ = ("_request", "extensions", "headers", "status_code")

    status_code: int
    headers: Headers
    extensions: dict[str, Any]
    _request: Request | None

    @property
    def request(self) -> Request:
        """The request that was answered.  Raises RuntimeError when there is none."""
        if self._request is None:
            raise RuntimeError("This response belongs to no request: its .request was never set.")
        return self._request

    @request.setter
    def request(self, request: Request) -> None:
        self._request = request

    @property
    def url(self) -> URL:
        """The URL that was asked for."""
        return self.request.url

    @property
    def http_version(self) -> str:
        """How it came: "HTTP/2", "HTTP/1.1" or "HTTP/1.0"."""
        version: bytes = self.extensions.get("http_version", b"HTTP/1.1")
        return version.decode("ascii", "ignore")

    @property
    def reason_phrase(self) -> str:
        """What the server calls the status, which may be nothing; the registered phrase over HTTP/2, which has none."""
        phrase: bytes | None = self.extensions.get("reason_phrase")
        if phrase is None or (not phrase and self.extensions.get("http_version") == b"HTTP/2"):
            return codes.get_reason_phrase(self.status_code)
        return phrase.decode("ascii", "ignore")

    @property
    def stream_id(self) -> int | None:
        """The number of the HTTP/2 stream; None for HTTP/1."""
        stream_id: int | None = self.extensions.get("stream_id")
        return stream_id

    @property
    def timings(self) -> dict[str, float]:
        """How long the phases of the exchange took, in seconds; empty when nobody measured."""
        timings: dict[str, float] = self.extensions.get("timings", {})
        return timings

    @property
    def connection_info(self) -> Any:  # the transport's own type, which lies above this room
        """What is known of the connection: addresses, TLS, whether it was reused.  None when nothing is."""
        return self.extensions.get("connection_info")

    @property
    def charset_encoding(self) -> str | None:
        """The charset that Content-Type names, whether Python knows it or not; None when it names none."""
        content_type = self.headers.get("content-type")
        return None if content_type is None else charset_of(content_type)

    @property
    def links(self) -> dict[str, dict[str, str]]:
        """The Link header taken apart (RFC 8288): by relation type, each a dict with "url" and parameters."""
        return parse_links(self.headers.get("link", ""))

    @property
    def is_informational(self) -> bool:
        """Whether the status is 1xx."""
        return codes.is_informational(self.status_code)

    @property
    def is_success(self) -> bool:
        """Whether the status is 2xx."""
        return codes.is_success(self.status_code)

    @property
    def is_redirect(self) -> bool:
        """Whether the status is 3xx; see `has_redirect_location` for one that leads anywhere."""
        return codes.is_redirect(self.status_code)

    @property
    def is_client_error(self) -> bool:
        """Whether the status is 4xx."""
        return codes.is_client_error(self.status_code)

    @property
    def is_server_error(self) -> bool:
        """Whether the status is 5xx."""
        return codes.is_server_error(self.status_code)

    @property
    def is_error(self) -> bool:
        """Whether the status is 4xx or 5xx."""
        return codes.is_error(self.status_code)

    @property
    def has_redirect_location(self) -> bool:
        """Whether the status is 301, 302, 303, 307 or 308, and there is a Location."""
        return self.status_code in _REDIRECTS and "location" in self.headers
