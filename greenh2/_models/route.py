"""A Route is where a request's connection leads: what may share a connection has the same Route."""

from __future__ import annotations

from collections.abc import Mapping
from functools import lru_cache
from typing import TYPE_CHECKING, Final, NamedTuple

from greenh2._errors import InvalidURL, UnsupportedProtocol

if TYPE_CHECKING:
    from greenh2._models.proxy import Proxy
    from greenh2._models.url import URL

DEFAULT_PORTS: Final = {"http": 80, "https": 443}


class Route(NamedTuple):
    """Scheme, host and port of the peer, and the name it must prove over TLS.

    `host` is ASCII as a socket wants it: IDNA-encoded, an IPv6 address without brackets, a trailing dot kept.
    `server_hostname` is what TLS asks for (SNI) and verifies: the host without its trailing dot unless the
    request's extension "sni_hostname" says otherwise; None for http.
    """

    scheme: str
    host: str
    port: int
    server_hostname: str | None = None
    #: Do not offer HTTP/2: the server has asked for that (RFC 9113 section 7, HTTP_1_1_REQUIRED).
    http1_only: bool = False
    #: What the peer is reached through, by a tunnel; or, where it is `forwarding`, the peer itself.
    proxy: Proxy | None = None
    #: The proxy passes on whole requests (RFC 9112 section 3.2.2, absolute-form), for every http origin.
    forwarding: bool = False

    @classmethod
    def of(cls, url: URL, extensions: Mapping[str, object] | None = None) -> Route:
        """Return the route for a URL and its request's extensions.

        Raises UnsupportedProtocol unless the scheme is http or https, InvalidURL when there is no host.
        """
        if not url.scheme:
            raise UnsupportedProtocol(
                f"The URL {url.redacted!r} has no scheme: only http:// and https:// can be requested, "
                "and paths by a client that has a base_url."
            )
        if not extensions:
            return _route(url.scheme, url.raw_host, url.port, None, False)
        if (sni := extensions.get("sni_hostname")) is not None:
            sni = _name(sni)
        return _route(url.scheme, url.raw_host, url.port, sni, bool(extensions.get("http1_only")))

    def through(self, proxy: Proxy, *, forward: bool) -> Route:
        """Return the route by way of a proxy: a tunnel of this route's own, or the connection that all http share."""
        if forward:
            name = proxy.host.removesuffix(".")
            return Route(proxy.scheme, proxy.host, proxy.port, name, True, proxy, True)
        return self._replace(proxy=proxy)

    @property
    def secure(self) -> bool:
        """Whether the connection is encrypted."""
        return self.scheme == "https"

    @property
    def origin(self) -> str:
        """The route as a URL without a path, such as "https://example.org" (RFC 6454 section 6.2)."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        port = "" if self.port == DEFAULT_PORTS.get(self.scheme) else f":{self.port}"
        return f"{self.scheme}://{host}{port}"

    @property
    def authority(self) -> str:
        """Host and port, as a tunnel is asked for (RFC 9110 section 9.3.6)."""
        host = self.host.partition("%")[0]
        return f"[{host}]:{self.port}" if ":" in host else f"{host}:{self.port}"

    def __str__(self) -> str:
        if self.proxy is None or self.forwarding:
            return self.origin
        return f"{self.origin} through {self.proxy.origin}"


def _name(sni: object) -> str:
    """Check the extension "sni_hostname"."""
    if isinstance(sni, bytes):
        sni = sni.decode("latin-1")
    if not isinstance(sni, str):
        raise TypeError(f"The extension 'sni_hostname' is a str, not {type(sni).__name__}")
    if not sni or not all("\x20" < char < "\x7f" for char in sni):
        raise InvalidURL(f"{sni!r} cannot be a host name: the extension 'sni_hostname' is visible ASCII")
    return sni


@lru_cache(maxsize=1024)
def _route(scheme: str, raw_host: bytes, port: int | None, sni: str | None, http1_only: bool) -> Route:
    if scheme not in DEFAULT_PORTS:
        raise UnsupportedProtocol(
            f"The URL has the scheme {scheme!r}: only http:// and https:// can be requested."
        )
    host = raw_host.decode("ascii")
    if not host:
        raise InvalidURL(f"The URL has no host: {scheme}:// needs one.")
    if port is None:
        port = DEFAULT_PORTS[scheme]
    if scheme == "http":
        return Route(scheme, host, port, None, http1_only)
    server_hostname = host.removesuffix(".") if sni is None else sni
    return Route(scheme, host, port, server_hostname, http1_only)
