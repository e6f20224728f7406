"""A line is what an adapter sends through: a transport, with the repeats that are always safe."""

from __future__ import annotations

from typing import TYPE_CHECKING

from gevent import sleep

from greenh2._middleware.retry import Retry
from greenh2._models.request import Request
from greenh2._models.response import Response
from greenh2._models.transport import BaseTransport

if TYPE_CHECKING:
    from greenh2._client import Client


class Line:
    """Sends requests through a transport, and again what provably was not processed; nothing else is repeated."""

    __slots__ = ("_handle", "transport")

    def __init__(self, transport: BaseTransport) -> None:
        self.transport = transport
        self._handle = Retry(transport.handle_request, sleep=sleep)

    def send(self, request: Request) -> Response:
        """Return the response, the body yet to be read.  Raises what the transport raises.  Switches greenlets."""
        return self._handle(request)


def transport_of(pool: Client | BaseTransport) -> BaseTransport:
    """Return the transport of a Client, or the one that was given.  Raises TypeError for anything else.

    Nothing else of the client has any effect: neither its headers, cookies and timeout, nor its redirects.
    """
    transport = getattr(pool, "_transport", pool)
    if not isinstance(transport, BaseTransport):
        raise TypeError(f"pool is a greenh2.Client or a transport, not {type(pool).__name__}")
    return transport
