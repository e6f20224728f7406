"""Keeps the tests on loopback: no connect and no name look-up may leave the machine.

Both guards are audit hooks of the interpreter, so that they see sockets of gevent and of the standard library
alike, in every native thread, and cannot be imported around. Names below ``localhost`` get its addresses (RFC
6761, section 6.3) from a resolver of the hub.
"""

import ipaddress
import socket
import sys
from typing import Any

import gevent

MAPPED = ipaddress.ip_network("::ffff:127.0.0.0/104")


class LeftLoopbackError(RuntimeError):
    """A test tried to reach another machine."""


def is_loopback(host: str) -> bool:
    """Tell whether a host is localhost or a loopback address."""
    if host == "localhost":
        return True
    try:
        address = ipaddress.ip_address(host.partition("%")[0])
    except ValueError:
        return False
    return address.is_loopback or address in MAPPED


def _is_address(host: str) -> bool:  # pragma: no cover (called by the audit hook, which is not traced)
    try:
        ipaddress.ip_address(host.partition("%")[0])
    except ValueError:
        return False
    return True


def _audit(event: str, arguments: tuple[Any, ...]) -> None:  # pragma: no cover (not traced)
    if event in ("socket.connect", "socket.sendto"):
        address = arguments[1]
        if isinstance(address, tuple) and isinstance(address[0], str) and not is_loopback(address[0]):
            raise LeftLoopbackError(f"{event} to {address!r}: the tests stay on loopback")
    elif event == "socket.getaddrinfo":
        host = arguments[0].decode() if isinstance(arguments[0], bytes) else arguments[0]
        if host and host != "localhost" and not _is_address(host):
            raise socket.gaierror(
                socket.EAI_NONAME, f"the tests do not look up {host!r}: they stay on loopback"
            )


class LocalhostResolver:
    """The hub's resolver, but every name below localhost is localhost."""

    def __init__(self, resolver: Any) -> None:
        self._resolver = resolver

    def getaddrinfo(self, host: str | bytes | None, *arguments: Any) -> Any:
        name = host.decode() if isinstance(host, bytes) else host
        if name is not None and f".{name}".rstrip(".").endswith(".localhost"):
            host = "localhost"
        return self._resolver.getaddrinfo(host, *arguments)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._resolver, name)


def stay() -> None:
    """Forbid this process to leave loopback, from now on."""
    sys.addaudithook(_audit)


def resolve_below_localhost() -> None:
    """Let this hub resolve ``a.localhost`` and the like, whatever the machine's resolver says."""
    hub = gevent.get_hub()
    if not isinstance(hub.resolver, LocalhostResolver):
        hub.resolver = LocalhostResolver(hub.resolver)  # type: ignore[assignment]  # it delegates
