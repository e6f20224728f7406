"""RememberCookies sends what servers asked to have sent back, and keeps what they ask for next (RFC 6265)."""

from __future__ import annotations

from collections.abc import Callable

from greenh2._middleware.derive import derive
from greenh2._middleware.handler import Handler, closed_on_error
from greenh2._models.cookies import Cookies
from greenh2._models.headers import Headers
from greenh2._models.request import Request
from greenh2._models.response import Response


class RememberCookies:
    """Send the cookies of the jar that fit the URL, and put those of the response into the jar.

    `jar` returns the jar in use.  Cookies of one call are found in the request's extension "cookies", in any form
    that Cookies are made from, and win over those of the jar.  A Cookie header written by hand is sent as it is,
    with what the jar has under other names behind it.  The request itself stays untouched: what is sent is a copy,
    so that the next attempt or redirect is given the cookies of its own time and place.
    """

    def __init__(self, following: Handler, *, jar: Callable[[], Cookies]) -> None:
        self._next = following
        self._jar = jar

    def __call__(self, request: Request) -> Response:
        jar = self._jar()
        response = self._next(with_cookies(request, jar))
        if "set-cookie" in response.headers:
            with closed_on_error(response):
                jar.extract_cookies(response)
        return response


def with_cookies(request: Request, jar: Cookies) -> Request:
    """Return the request as it is to be sent: itself when there is no cookie to add."""
    once = request.extensions.get("cookies")
    if once is not None and not isinstance(once, Cookies):
        once = Cookies(once)
    if once:
        jar = _merged(jar, once)
    elif not jar:
        return request
    sent = derive(request, headers=request.headers.copy())
    by_hand = _taken(sent.headers)
    jar.set_cookie_header(sent)
    if by_hand:
        stored = b"; ".join(_taken(sent.headers))
        sent.headers.append(b"Cookie", beside(b"; ".join(by_hand), stored))
    return sent


def _taken(headers: Headers) -> list[bytes]:
    # Bytes, for nobody knows what text they are.
    taken = [value for name, value in headers.raw if name.lower() == b"cookie"]
    if taken:
        del headers["cookie"]
    return taken


def _merged(jar: Cookies, once: Cookies) -> Cookies:
    merged = Cookies(jar)
    merged.update(once)
    # What goes to every URL would stand beside what this server has set under the same name, and not win.
    names = {cookie.name for cookie in once.jar if not cookie.domain and cookie.path == "/"}
    for cookie in list(merged.jar):
        if cookie.name in names and (cookie.domain, cookie.path) != ("", "/"):
            merged.delete(cookie.name, cookie.domain, cookie.path)
    return merged


def beside(by_hand: bytes, stored: bytes) -> bytes:
    """Return a Cookie header written by hand, with the stored cookies of other names behind it."""
    taken = {_name(pair) for pair in by_hand.split(b";")}
    return b"; ".join([by_hand, *(pair for pair in stored.split(b"; ") if pair and _name(pair) not in taken)])


def _name(pair: bytes) -> bytes:
    return pair.partition(b"=")[0].strip()
