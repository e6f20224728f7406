"""Which cookies are taken: Netscape's rules as the standard library has them, and RFC 6265's where those are too loose.

Brings urllib.request along: not to be imported before there are cookies.
"""

from __future__ import annotations

import ipaddress
from http.cookiejar import Cookie, DefaultCookiePolicy
from urllib.request import Request


class CookiePolicy(DefaultCookiePolicy):
    """Takes no cookie for ``.co.uk`` and the like, and none for part of an IP address (RFC 6265 section 5.1.3)."""

    def __init__(self) -> None:
        super().__init__(strict_domain=True)

    def set_ok_domain(self, cookie: Cookie, request: Request) -> bool:
        """Tell whether the host may set a cookie for this domain."""
        if cookie.domain_specified and _is_address(host := request.origin_req_host):
            return cookie.domain.removeprefix(".") == host
        allowed: bool = super().set_ok_domain(cookie, request)
        return allowed


def _is_address(host: str) -> bool:
    try:
        ipaddress.ip_address(host.strip("[]"))
    except ValueError:
        return False
    return True
