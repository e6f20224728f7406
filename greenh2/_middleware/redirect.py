"""FollowRedirects goes where a response points to, as browsers do (https://fetch.spec.whatwg.org/#http-redirect-fetch)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from greenh2._errors import (
    InvalidURL,
    RemoteProtocolError,
    RequestError,
    StreamConsumed,
    StreamError,
    TooManyRedirects,
)
from greenh2._middleware.auth import auth_in_url
from greenh2._middleware.derive import derive
from greenh2._middleware.handler import Handler, closed_on_error, drain
from greenh2._models.body import BytesBody
from greenh2._models.headers import Headers
from greenh2._models.request import Request
from greenh2._models.response import Response
from greenh2._models.route import Route
from greenh2._models.url import URL

# What must never be told to an origin that it was not meant for.
CREDENTIAL_HEADERS: Final = frozenset({b"authorization", b"proxy-authorization", b"cookie"})
# The same among the extensions, and what was said of, or found out about, that one server.
ORIGIN_EXTENSIONS: Final = frozenset({"cookies", "http1_only", "sni_hostname"})
# What was said in place of that one URL.
URL_EXTENSIONS: Final = frozenset({"target"})
# https://fetch.spec.whatwg.org/#request-body-header-name, and what frames or announces a body.
BODY_HEADERS: Final = frozenset(
    {
        b"content-encoding",
        b"content-language",
        b"content-length",
        b"content-location",
        b"content-type",
        b"expect",
        b"trailer",
        b"transfer-encoding",
    }
)


class FollowRedirects:
    """Follow up to `max_redirects` redirects when the request's extension "follow_redirects" is true.

    The responses on the way are found in `history`, with up to 64 KiB of their bodies.  Without following,
    the response says in `next_request` what would come next, None when that cannot be asked for.

    Raises TooManyRedirects; RemoteProtocolError for a Location that is no URL; UnsupportedProtocol for one
    that is neither http nor https; StreamConsumed when a body would have to be sent again that cannot be.
    """

    def __init__(self, following: Handler, *, max_redirects: int) -> None:
        self._next = following
        self._max_redirects = max_redirects

    def __call__(self, request: Request) -> Response:
        history: list[Response] = []
        redirects = 0
        while True:
            response = self._next(request)
            response.history = history = [*history, *response.history]
            if not response.has_redirect_location:
                return response
            with closed_on_error(response):
                if not request.extensions.get("follow_redirects"):
                    response.next_request = _redirected_or_none(request, response)
                    return response
                if redirects == self._max_redirects:
                    raise TooManyRedirects(
                        f"{response.status_code} from {request.url.redacted} is one redirect more than the "
                        f"{self._max_redirects} that max_redirects allows.",
                        request=request,
                    )
                following = redirected(request, response)
                drain(response)
                if following.body is not request.body:
                    request.body.close()
            history = [*history, response]
            redirects += 1
            request = following


def redirected(request: Request, response: Response) -> Request:
    """Return the request that a redirect response asks for.  Pure; raises as FollowRedirects does."""
    url = _target(request, response)
    method = method_after(response.status_code, request.method)
    here, there = Route.of(request.url), Route.of(url)
    bodiless = response.status_code == 303 or method != request.method
    if not bodiless and not request.body.replayable:
        raise StreamConsumed(
            f"{response.status_code} from {request.url.redacted} wants the body again at {url.redacted}, "
            "and it can be read only once: give it as bytes, a file or a list."
        )
    unwanted = set(BODY_HEADERS) if bodiless else set()
    extensions = _without(request.extensions, URL_EXTENSIONS)
    if here != there:
        unwanted.add(b"host")
        if not _is_upgrade(here, there):
            unwanted |= CREDENTIAL_HEADERS
            # None, where absence would mean "as the client says" to whoever sends `next_request`.
            extensions = {**_without(extensions, ORIGIN_EXTENSIONS), "auth": None}
    if (url.userinfo != request.url.userinfo or not extensions.get("auth")) and (auth := auth_in_url(url)):
        extensions = {**extensions, "auth": auth}
    kept = [field for field in request.headers.raw if field[0].lower() not in unwanted]
    if b"host" in unwanted:
        kept.insert(0, (b"Host", url.authority))
    return derive(
        request,
        method=method,
        url=url,
        headers=Headers.from_raw(kept),
        extensions=extensions,
        body=BytesBody() if bodiless else None,
    )


def method_after(status: int, method: str) -> str:
    """Return the method for the next request: GET after 303, and in place of a POST after 301 or 302."""
    if status == 303:
        return "HEAD" if method == "HEAD" else "GET"
    if status in (301, 302) and method == "POST":
        return "GET"
    return method


def _target(request: Request, response: Response) -> URL:
    locations = {value for name, value in response.headers.raw if name.lower() == b"location"}
    location = _text(locations.pop())
    if locations:
        raise RemoteProtocolError(
            f"{response.status_code} from {request.url.redacted} has several Location headers that differ.",
            request=request,
        )
    try:
        url = request.url.join(location)
        Route.of(url)
    except InvalidURL as exc:
        raise RemoteProtocolError(
            f"{response.status_code} from {request.url.redacted} has a Location that is no URL: {exc}",
            request=request,
        ) from exc
    except RequestError as exc:
        exc.request = request
        raise
    if request.url.fragment and not url.fragment:
        # RFC 9110 section 10.2.2: a fragment is inherited.
        url = url.copy_with(fragment=str(request.url).partition("#")[2])
    return url


def _text(location: bytes) -> str:
    # By itself: Headers decode all values alike, and another one may be in another encoding.
    try:
        return location.decode("utf-8")
    except UnicodeDecodeError:
        return location.decode("iso-8859-1")


def _redirected_or_none(request: Request, response: Response) -> Request | None:
    try:
        return redirected(request, response)
    except (RequestError, StreamError):
        return None


def _is_upgrade(here: Route, there: Route) -> bool:
    # The same server asks for encryption: as httpx and requests see it, with default ports only.
    ports = (here.scheme, here.port, there.scheme, there.port)
    return here.host == there.host and ports == ("http", 80, "https", 443)


def _without(extensions: Mapping[str, object], names: frozenset[str]) -> dict[str, object]:
    return {name: value for name, value in extensions.items() if name not in names}
