"""Which cookies are taken: Netscape's rules as the standard library has them, and RFC 6265's where those are too loose.

Brings urllib.request along: not to be imported before there are cookies.
"""

from __future__ import annotations

import ipaddress
from http.cookiejar import (  # type: ignore[attr-defined] # typeshed leaves the last out
    Cookie,
    DefaultCookiePolicy,
    eff_request_host,
)
from urllib.request import Request


class CookiePolicy(DefaultCookiePolicy):
    """Takes no cookie for ``.co.uk`` and the like, and none for part of an IP address (RFC 6265 section 5.1.3).

    Nor one whose name promises by ``__Secure-`` or ``__Host-`` what is not so (RFC 6265bis section 4.1.3).
    """

    def __init__(self) -> None:
        super().__init__(strict_domain=True)

    def set_ok(self, cookie: Cookie, request: Request) -> bool:
        """Tell whether a response may set this cookie."""
        return _keeps_its_promise(cookie, request.type) and bool(super().set_ok(cookie, request))

    def set_ok_domain(self, cookie: Cookie, request: Request) -> bool:
        """Tell whether the host may set a cookie for this domain."""
        if cookie.domain_specified and _is_address(host := request.origin_req_host):
            return cookie.domain.removeprefix(".") == host
        allowed: bool = super().set_ok_domain(cookie, request)
        return allowed

    def return_ok_domain(self, cookie: Cookie, request: Request) -> bool:
        """Tell whether the host may be told this cookie: one that names no domain goes back to its own host alone.

        RFC 6265 section 5.4.  The user's own, which have no domain at all, go to every host.
        """
        if cookie.domain and not cookie.domain_specified and cookie.domain != eff_request_host(request)[1]:
            return False
        allowed: bool = super().return_ok_domain(cookie, request)
        return allowed


def _keeps_its_promise(cookie: Cookie, scheme: str) -> bool:
    name = cookie.name.lower()
    if not name.startswith(("__secure-", "__host-")):
        return True
    if not cookie.secure or scheme != "https":
        return False
    return name.startswith("__secure-") or (cookie.path == "/" and not cookie.domain_specified)


def _is_address(host: str) -> bool:
    try:
        ipaddress.ip_address(host.strip("[]"))
    except ValueError:
        return False
    return True
