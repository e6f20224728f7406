"""Names to addresses, through gevent's resolver and within a time."""

from __future__ import annotations

import ipaddress
from collections.abc import Callable
from typing import cast

import gevent
from gevent import socket

from greenh2._errors import ConnectError

_SocketAddress = tuple[str, int] | tuple[str, int, int, int]
Address = tuple[int, _SocketAddress]
Resolver = Callable[[str, int], list[Address]]


def resolve(host: str, port: int) -> list[Address]:
    """Return the (family, socket address) pairs of a host, as the system orders them.  May switch greenlets.

    An IP literal is answered at once, without a resolver.  Raises ConnectError when the name is not known.
    """
    try:
        literal = ipaddress.ip_address(host.partition("%")[0])
    except ValueError:
        pass
    else:
        if "%" not in host:
            family = socket.AF_INET6 if literal.version == 6 else socket.AF_INET
            return [(family, (host, port, 0, 0) if literal.version == 6 else (host, port))]
    try:
        found = gevent.socket.getaddrinfo(host, port, 0, socket.SOCK_STREAM)
    except (OSError, UnicodeError) as exc:
        raise ConnectError(f"the name {host!r} could not be resolved: {exc}") from exc
    return [(family, cast("_SocketAddress", address)) for family, _, _, _, address in dict.fromkeys(found)]
