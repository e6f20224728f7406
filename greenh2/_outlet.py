"""Where requests leave a client: its own transport, those that are mounted, and the proxies for its own."""

from __future__ import annotations

import codecs
import os
from collections.abc import Callable, Mapping
from time import perf_counter
from typing import TYPE_CHECKING, cast

from greenh2._middleware.handler import Handler
from greenh2._models.proxy import ProxyTypes
from greenh2._models.request import Request, declared_length
from greenh2._models.response import Response
from greenh2._models.transport import BaseTransport
from greenh2._models.url import URL

if TYPE_CHECKING:
    from greenh2._models.mounts import Mounts
    from greenh2._transport import ProxyChoice

_PROXY_VARIABLES = ("http_proxy", "HTTP_PROXY", "https_proxy", "HTTPS_PROXY", "all_proxy", "ALL_PROXY")


def handler_of(transport: BaseTransport | Handler) -> Handler:
    handle: object = getattr(transport, "handle_request", None) or transport
    if isinstance(transport, type):
        raise TypeError(f"transport is a transport, not the class {transport.__name__}: make one of it")
    if not callable(handle):
        raise TypeError(
            "transport is a BaseTransport or a function from Request to Response, "
            f"not {type(transport).__name__}"
        )
    return cast("Handler", handle)


def mount_table(
    mounts: Mapping[str, BaseTransport | Handler | None],
) -> Mounts[BaseTransport | Handler | None]:
    from greenh2._models.mounts import Mounts  # seldom wanted

    if not isinstance(mounts, Mapping):
        raise TypeError(
            f'mounts is {{"https://": transport}}, by patterns of URLs, not {type(mounts).__name__}'
        )
    return Mounts(mounts)


def router(mounts: Mounts[BaseTransport | Handler | None], otherwise: Handler) -> Handler:
    handlers = {id(one): handler_of(one) for one in mounts.targets if one is not None}

    def route(request: Request) -> Response:
        _, mounted = mounts.find(request.url)
        return otherwise(request) if mounted is None else handlers[id(mounted)](request)

    return route


def proxies_of(
    proxy: ProxyTypes | None, trust_env: bool, mounts: Mounts[BaseTransport | Handler | None] | None
) -> ProxyTypes | ProxyChoice | None:
    """Return what the client's own transport is to know of proxies, None where there is nothing to know."""
    chosen = None
    if proxy is not None:
        from greenh2._transport import proxy_choice  # the client's own transport comes from there

        chosen = proxy_choice(proxy)
    elif trust_env and any(os.environ.get(name) for name in _PROXY_VARIABLES):
        from greenh2._models.environment import environment_proxies  # seldom wanted

        chosen = environment_proxies(os.environ)
    if chosen is None or mounts is None:
        return chosen

    def choose(url: URL) -> ProxyTypes | None:
        mounted, _ = mounts.find(url)
        return None if mounted else chosen(url)

    return choose


def outlet(
    handle: Handler,
    transport: object,
    default_encoding: str | Callable[[bytes], str],
    most: int | None,
) -> Handler:
    """Return the last handler of a client.  Raises TypeError and ValueError for settings that could never work."""
    checked_encoding(default_encoding)
    checked_most(most)

    def send_once(request: Request) -> Response:
        # An Auth or a hook may have set headers since the request was built, and what they say of its length.
        declared_length(request)
        bound = checked_most(request.extensions.get("max_response_bytes", most))
        started = perf_counter()
        response = handle(request)
        if not isinstance(response, Response):
            raise TypeError(f"The transport {transport!r} returned {type(response).__name__}, not a Response")
        response.request = request
        response.history = []  # of this request: a function may return the same Response to several
        response.default_encoding = default_encoding
        response._most = bound
        response._started = started
        return response

    return send_once


def close_transport(transport: object) -> None:
    close = getattr(transport, "close", None)
    if close is not None:
        close()


def checked_encoding(encoding: object) -> None:
    if callable(encoding):
        return
    if not isinstance(encoding, str):
        raise TypeError(f"default_encoding is the name of an encoding, or a function, not {encoding!r}")
    try:
        codecs.lookup(encoding)
    except (LookupError, ValueError):
        raise ValueError(f"default_encoding={encoding!r} is no encoding that Python knows") from None


def checked_most(most: object) -> int | None:
    if most is None:
        return None
    if not isinstance(most, int) or isinstance(most, bool) or most < 0:
        raise ValueError(f"max_response_bytes is a number of bytes or None, not {most!r}")
    return most


def checked_redirects(most: object) -> int:
    if not isinstance(most, int) or isinstance(most, bool) or most < 0:
        raise ValueError(f"max_redirects is 0 or more, not {most!r}")
    return most
