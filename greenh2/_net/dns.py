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


def literal(host: str, port: int) -> list[Address]:
    """Return the address that the host is written as, in a list, or an empty one when it is a name."""
    try:
        address = ipaddress.ip_address(host)
    except ValueError:
        return []
    if isinstance(address, ipaddress.IPv4Address):
        return [(socket.AF_INET, (host, port))]
    return [] if address.scope_id else [(socket.AF_INET6, (host, port, 0, 0))]


def resolve(host: str, port: int) -> list[Address]:
    """Return the (family, socket address) pairs of a host, as the system orders them.  May switch greenlets.

    An IP literal is answered at once, without a resolver.  Raises ConnectError when the name is not known.
    """
    if found := literal(host, port):
        return found
    if not all(0 < len(label) < 64 for label in host.removesuffix(".").split(".")):
        # RFC 1035 section 2.3.4.  In a thread of the resolver it would be a traceback on stderr as well.
        raise ConnectError(
            f"the name {host!r} could not be resolved: between its dots are 1 to 63 characters each"
        )
    try:
        answers = gevent.socket.getaddrinfo(host, port, 0, socket.SOCK_STREAM)
    except (OSError, UnicodeError, RuntimeError) as exc:  # RuntimeError: it may have no more threads
        raise ConnectError(f"the name {host!r} could not be resolved: {exc}") from exc
    return [(family, cast("_SocketAddress", address)) for family, _, _, _, address in dict.fromkeys(answers)]
