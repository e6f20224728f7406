"""A Proxy is a server through which others are reached, and how to speak to it."""

from __future__ import annotations

from binascii import b2a_base64
from typing import TYPE_CHECKING, Final

from greenh2._errors import InvalidURL
from greenh2._models.headers import Headers, HeaderTypes, check_field
from greenh2._models.url import URL

if TYPE_CHECKING:
    from ssl import SSLContext

_PORTS: Final = {"http": 80, "https": 443, "socks5": 1080, "socks5h": 1080}
#: RFC 1929 section 2: user name and password are preceded by one byte that says how long they are.
_LONGEST_SOCKS_WORD: Final = 255


class Proxy:
    """A proxy, by its URL: http, https (TLS to the proxy), socks5 (names are looked up here) or socks5h (there).

        Proxy("http://user:password@proxy.example.org:3128")
        Proxy("https://proxy.example.org", auth=("user", "password"), headers={"X-Team": "green"})

    `auth`: user name and password, in place of those in the URL.
    `headers`: sent to an http or https proxy with each CONNECT, and with each request that it passes on.
    `ssl_context`: for TLS with an https proxy; without it the `verify` of the client holds for the proxy too, but
    its `cert` is not shown to it.

    Does not connect, and is never changed: proxies that say the same are equal, and share connections.  Neither
    `repr()` nor any error shows the password or the headers.  Raises ValueError for another scheme and for what
    the scheme has no use for, InvalidURL for a URL without a host, LocalProtocolError for a header that must not
    be sent, TypeError for arguments of the wrong type.
    """

    __slots__ = ("_given", "_key", "auth", "fields", "host", "origin", "port", "ssl_context", "url")

    def __init__(
        self,
        url: URL | str,
        *,
        ssl_context: SSLContext | None = None,
        auth: tuple[str, str] | None = None,
        headers: HeaderTypes | None = None,
    ) -> None:
        whole = URL(url)
        scheme = whole.scheme
        if scheme not in _PORTS:
            raise ValueError(
                f"The proxy URL {shown(whole)!r} has the scheme {scheme!r}: "
                "it is http, https, socks5 or socks5h, as in 'http://proxy.example.org:3128'"
            )
        if not whole.host:
            raise InvalidURL(f"The proxy URL {whole.redacted!r} has no host.")
        if auth is None and whole.userinfo:
            auth = (whole.username, whole.password)
        #: User name and password, or None.
        self.auth = None if auth is None else _checked_auth(auth, scheme)
        #: The URL without them.
        self.url = whole.copy_with(userinfo=None)
        if ssl_context is not None and not hasattr(ssl_context, "wrap_bio"):
            raise TypeError(f"ssl_context is an ssl.SSLContext, not {ssl_context!r}")
        self.ssl_context = ssl_context
        if ssl_context is not None and scheme != "https":
            raise ValueError(f"ssl_context is for proxies with https:// URLs, not for {scheme}://")
        #: The name or address to connect to, ASCII, and the port.
        self.host = whole.raw_host.decode("ascii")
        self.port = whole.port or _PORTS[scheme]
        #: Scheme, host and port as text, for messages.
        self.origin = f"{scheme}://{f'[{self.host}]' if ':' in self.host else self.host}:{self.port}"
        given = [(name, check_field(name, value)) for name, value in Headers(headers).raw]
        if given and self.is_socks:
            raise ValueError(f"headers are sent to proxies that speak HTTP, and {scheme}:// ones do not")
        self._given = tuple(given)
        #: The field lines for this proxy alone, its credentials included.
        self.fields = () if self.is_socks else (*_credentials(self.auth, given), *given)
        self._key = (self.origin, self.auth, self.fields, ssl_context)

    @property
    def headers(self) -> Headers:
        """The headers for the proxy, as they were given."""
        return Headers.from_raw(list(self._given))

    @property
    def scheme(self) -> str:
        """One of "http", "https", "socks5" and "socks5h"."""
        return self.url.scheme

    @property
    def is_socks(self) -> bool:
        """Whether it speaks SOCKS5 (RFC 1928), rather than HTTP."""
        return self.url.scheme.startswith("socks")

    def __eq__(self, other: object) -> bool:
        return self._key == other._key if isinstance(other, Proxy) else NotImplemented

    def __hash__(self) -> int:
        return hash(self._key)

    def __repr__(self) -> str:
        auth = "" if self.auth is None else f", auth=({self.auth[0]!r}, '[secure]')"
        hidden = [(name.decode("ascii"), "[secure]") for name, _ in self._given]
        headers = f", headers={hidden!r}" if hidden else ""
        return f"Proxy({str(self.url)!r}{auth}{headers})"


#: What ``proxy=`` takes.
ProxyTypes = URL | str | Proxy


def proxy_of(proxy: ProxyTypes) -> Proxy:
    """Return the Proxy that a `proxy=` argument stands for.  Raises TypeError, and what Proxy raises."""
    if isinstance(proxy, Proxy):
        return proxy
    if isinstance(proxy, (str, URL)):
        return Proxy(proxy)
    raise TypeError(f"proxy is a URL, as str or URL, or a Proxy, not {type(proxy).__name__}")


def _checked_auth(auth: object, scheme: str) -> tuple[str, str]:
    match auth:
        case (str() as user, str() as password):
            pass
        case _:
            raise TypeError("auth is a pair of str: the user name and the password for the proxy")
    if scheme.startswith("socks") and not all(
        0 < len(word.encode("utf-8")) <= _LONGEST_SOCKS_WORD for word in (user, password)
    ):
        raise ValueError("the user name and the password for a SOCKS proxy have 1 to 255 bytes each")
    return user, password


def _credentials(auth: tuple[str, str] | None, given: list[tuple[bytes, bytes]]) -> list[tuple[bytes, bytes]]:
    name = b"Proxy-Authorization"
    if auth is None or any(other.lower() == name.lower() for other, _ in given):
        return []
    return [(name, b"Basic " + b2a_base64(":".join(auth).encode("utf-8"), newline=False))]  # RFC 7617


def shown(url: URL) -> str:
    """Return a URL as text without its password, also where "//" is missing, and it is a path."""
    text = url.redacted
    return text if url.host or "@" not in text else f"[secure]@{text.rpartition('@')[2]}"
