"""Which transport a request goes through: one for each trust that is asked for, or the one that is shared."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterable
from typing import Any

import requests.exceptions as told
from requests.models import PreparedRequest
from requests.utils import DEFAULT_CA_BUNDLE_PATH, prepend_scheme_if_needed, select_proxy
from urllib3.exceptions import LocationValueError
from urllib3.util import parse_url

from greenh2._errors import InvalidURL
from greenh2._models.config import Limits
from greenh2._models.proxy import Proxy
from greenh2._models.settings import Http2Choice
from greenh2._models.transport import BaseTransport
from greenh2._net.trust import Stamp, stamp
from greenh2._transport import HTTPTransport
from greenh2.adapters._lines import Line

#: What requests calls `verify` and `cert`, as they come in.
Verify = Any
Cert = Any
_Key = tuple[str | None, bool | str, tuple[str, ...] | None]
_Stamps = tuple[Stamp, ...]


class OwnPools:
    """Transports made as they are needed, for each proxy, `verify` and `cert` of requests.

    When one of the files that these name was replaced, a new transport takes the place of the one that has read it.

    May be used by every thread and greenlet.  What is sent after `close()` makes new ones.
    """

    def __init__(self, *, limits: Limits, http1: bool, http2: Http2Choice) -> None:
        self.options: dict[str, Any] = {"limits": limits, "http1": http1, "http2": http2}
        self._lines: dict[_Key, tuple[_Stamps, Line]] = {}
        _transport_for(None, False, None, self.options)  # so that options which cannot work are told now

    def line(self, scheme: str, proxy: str | None, verify: Verify, cert: Cert) -> Line:
        """Return what to send through.  Raises OSError when a file is missing, InvalidProxyURL."""
        files = _cert_files(cert)
        if scheme != "https":
            verify = True  # so that http shares the pool that is used most
        key = (proxy, _trust(verify), files if scheme == "https" else None)
        stamps = tuple([stamp(path) for path in (key[1], *(key[2] or ())[:2]) if isinstance(path, str)])
        kept = self._lines.get(key)
        if kept is None:
            kept = self._lines.setdefault(key, (stamps, Line(_transport_for(*key, self.options))))
        if kept[0] != stamps:
            _retire(kept[1])
            kept = self._lines[key] = stamps, Line(_transport_for(*key, self.options))
        return kept[1]

    def close(self) -> None:
        """Close what is idle, and what is in use at its end, as urllib3's pools do.  Never waits."""
        lines, self._lines = self._lines, {}
        for _, line in lines.values():
            if isinstance(line.transport, HTTPTransport):
                line.transport.retire(at_once=True)

    def retire(self) -> None:
        """Close what is idle, and what becomes idle later.  Never waits, and may be called from anywhere."""
        for _, line in list(self._lines.values()):
            _retire(line)

    def __del__(self) -> None:
        if not sys.is_finalizing():
            self.retire()

    def __repr__(self) -> str:
        return f"[{', '.join(repr(line.transport) for _, line in list(self._lines.values()))}]"


def _retire(line: Line) -> None:
    if isinstance(line.transport, HTTPTransport):
        line.transport.retire()


class SharedPool:
    """The transport of a client that is somebody else's: it is never closed here, and decides whom to trust."""

    def __init__(self, transport: BaseTransport) -> None:
        self._line = Line(transport)

    def line(self, scheme: str, proxy: str | None, verify: Verify, cert: Cert) -> Line:
        """Return what to send through.  Raises ValueError for trust that is not the client's, ProxyError."""
        if proxy is not None:
            raise told.ProxyError(
                f"The pool is shared, and {_shown(proxy)} is not the client's: say it to that."
            )
        if scheme == "https" and (verify is not True or cert) and not self._agrees(verify, cert):
            raise ValueError(
                f"verify={verify!r}, cert={cert!r}: the pool is that of a greenh2.Client, which has its own verify "
                "and cert. Say these to the client, or mount GreenAdapter() without pool=. (requests takes verify "
                "from REQUESTS_CA_BUNDLE and CURL_CA_BUNDLE too, unless session.trust_env is False.)"
            )
        return self._line

    def _agrees(self, verify: Verify, cert: Cert) -> bool:
        transport = self._line.transport
        if not isinstance(transport, HTTPTransport):
            return False
        settings = transport._dialer.tls
        wanted = settings.verify if verify is True else verify
        return (wanted == settings.verify) and (not cert or _cert_files(cert) == settings.cert)

    def __repr__(self) -> str:
        return f"shared {self._line.transport!r}"


Pools = OwnPools | SharedPool


def _transport_for(
    proxy: str | None, verify: bool | str, cert: Any, options: dict[str, Any]
) -> HTTPTransport:
    """Make a transport: the one place that knows how.  Raises InvalidProxyURL, InvalidSchema, OSError."""
    if proxy is not None:
        try:
            Proxy(proxy)
        except (InvalidURL, ValueError) as exc:
            raise told.InvalidProxyURL(f"{_shown(proxy)} cannot be used: {exc}") from exc
    try:
        return HTTPTransport(verify=verify, cert=cert, proxy=proxy, **options)
    except ImportError as exc:  # as for SOCKS
        raise told.InvalidSchema(str(exc)) from exc


def proxy_for(request: PreparedRequest, proxies: Any) -> str | None:
    """Return the URL of the proxy that requests names for a request, or None.  Raises InvalidProxyURL."""
    proxy = select_proxy(request.url or "", proxies)
    if not proxy:
        return None
    try:
        proxy = prepend_scheme_if_needed(proxy, "http")
        named = parse_url(proxy).host
    except LocationValueError as exc:
        raise told.InvalidProxyURL(f"{_shown(proxy)} is no URL", request=request) from exc
    if not named:
        raise told.InvalidProxyURL(f"{_shown(proxy)} has no host", request=request)
    return proxy


def _trust(verify: Verify) -> bool | str:
    """Return what to verify by: the authorities that requests was installed with for True."""
    if verify is False or verify is None:
        return False
    path = DEFAULT_CA_BUNDLE_PATH if verify is True else os.fspath(verify)
    if not os.path.exists(path):
        raise OSError(f"Could not find a suitable TLS CA certificate bundle, invalid path: {path}")
    return path


def _cert_files(cert: Cert) -> tuple[str, ...] | None:
    if not cert:
        return None
    pair: Iterable[Any] = (cert,) if isinstance(cert, (str, os.PathLike)) else cert
    files = tuple(os.fspath(path) for path in pair if path is not None)
    for path, what in zip(files, ("TLS certificate file", "TLS key file"), strict=False):
        if not os.path.exists(path):
            raise OSError(f"Could not find the {what}, invalid path: {path}")
    return files


def _shown(proxy: str) -> str:
    """Return a proxy's URL without user and password."""
    scheme, mark, rest = proxy.rpartition("://")
    return f"the proxy {scheme}{mark}{rest.rpartition('@')[2]}"
