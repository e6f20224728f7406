"""What the environment says about proxies: HTTP_PROXY, HTTPS_PROXY, ALL_PROXY and NO_PROXY, in either case."""

from __future__ import annotations

import ipaddress
from collections.abc import Callable, Mapping

from greenh2._errors import InvalidURL
from greenh2._models.proxy import Proxy
from greenh2._models.route import DEFAULT_PORTS
from greenh2._models.url import URL

_Network = ipaddress.IPv4Network | ipaddress.IPv6Network


def environment_proxies(environment: Mapping[str, str]) -> Callable[[URL], Proxy | None] | None:
    """Return the function that tells a URL's proxy, or None where the variables name none.

    A variable in lower case holds in place of the one in upper case, also where it is empty.  HTTP_PROXY in upper
    case is not read where REQUEST_METHOD is set: in a CGI program a header of the request would decide then.  A
    proxy without a scheme is an http one.

    Raises ValueError, which names the variable and shows no password, for what cannot be a proxy.
    """
    everything = _proxy(environment, "ALL_PROXY")
    proxies = {
        scheme: _proxy(environment, f"{scheme.upper()}_PROXY") or everything for scheme in DEFAULT_PORTS
    }
    if not any(proxies.values()):
        return None
    _, exempt = _read(environment, "NO_PROXY")
    return _Chooser({scheme: proxy for scheme, proxy in proxies.items() if proxy}, NoProxy(exempt))


class _Chooser:
    """Tells each URL the proxy of its scheme, or None."""

    def __init__(self, proxies: dict[str, Proxy], no_proxy: NoProxy) -> None:
        self._proxies = proxies
        self._no_proxy = no_proxy

    def __call__(self, url: URL) -> Proxy | None:
        proxy = self._proxies.get(url.scheme)
        return None if proxy is None or self._no_proxy.covers(url) else proxy


def _read(environment: Mapping[str, str], name: str) -> tuple[str, str]:
    """Return the name of the variable that holds, and its value."""
    lowered = name.lower()
    if lowered in environment:
        return lowered, environment[lowered].strip()
    if name == "HTTP_PROXY" and "REQUEST_METHOD" in environment:
        return name, ""
    return name, environment.get(name, "").strip()


def _proxy(environment: Mapping[str, str], name: str) -> Proxy | None:
    name, value = _read(environment, name)
    if not value:
        return None
    try:
        return Proxy(value if "://" in value else f"http://{value}")
    except (InvalidURL, ValueError) as exc:
        raise ValueError(f"the environment variable {name} names no proxy that can be used: {exc}") from exc


class NoProxy:
    """The hosts that are reached without a proxy, from the text of NO_PROXY.  Entries are parted by commas or space.

    "*": all.  "example.org", ".example.org", "*.example.org": that host and all names below it.  "10.1.2.3",
    "::1", "[::1]": that address.  "10.0.0.0/8", "fd00::/8": those addresses.  ":8080" behind any but the last: that
    port alone.  "https://" before it: that scheme alone.  An entry that is none of these matches nothing.  Names
    are not looked up.
    """

    def __init__(self, text: str) -> None:
        self._entries = [_Entry(entry) for entry in text.lower().replace(",", " ").split()]

    def covers(self, url: URL) -> bool:
        """Tell whether a URL is requested without a proxy."""
        host = url.raw_host.decode("ascii").removesuffix(".")
        port = url.port or DEFAULT_PORTS.get(url.scheme)
        address = _address(host)
        return any(entry.covers(url.scheme, host, address, port) for entry in self._entries)


class _Entry:
    """One entry of NO_PROXY."""

    def __init__(self, text: str) -> None:
        scheme, mark, rest = text.rpartition("://")
        self._scheme = scheme if mark else ""
        self._network = _network(rest)
        self._port = ""
        if self._network is None:
            host, colon, port = rest.rpartition(":")
            if colon and port.isascii() and port.isdigit():
                rest, self._port = host, port
                self._network = _network(host)
        self._everything = rest == "*"
        self._host = rest.removeprefix("*").removeprefix(".").removesuffix(".")

    def covers(self, scheme: str, host: str, address: _Network | None, port: int | None) -> bool:
        if (self._scheme and self._scheme != scheme) or (self._port and int(self._port) != port):
            return False
        if self._everything:
            return True
        if address is not None or self._network is not None:
            return _within(address, self._network)
        return bool(self._host) and (host == self._host or host.endswith(f".{self._host}"))


def _within(address: _Network | None, network: _Network | None) -> bool:
    if isinstance(address, ipaddress.IPv4Network) and isinstance(network, ipaddress.IPv4Network):
        return address.subnet_of(network)
    if isinstance(address, ipaddress.IPv6Network) and isinstance(network, ipaddress.IPv6Network):
        return address.subnet_of(network)
    return False


def _address(host: str) -> _Network | None:
    """Return an address as a network of its own, None for a name."""
    return None if "/" in host else _network(host.partition("%")[0])


def _network(text: str) -> _Network | None:
    """Return the address or the addresses that a text names, with or without brackets; None for a name."""
    address, slash, length = text.partition("/")
    if address.startswith("[") and address.endswith("]"):
        address = address[1:-1]
    elif text.startswith("[") and text.endswith("]"):
        return _network(text[1:-1])
    try:
        return ipaddress.ip_network(f"{address}{slash}{length}", strict=False)
    except ValueError:
        return None
