"""httpx over greenh2: HTTP/2, one fair pool, and safety from kills, for every httpx.Client as it is.

    import httpx
    from greenh2.adapters.httpx import GreenTransport

    client = httpx.Client(transport=GreenTransport())

For httpx2 there is greenh2.adapters.httpx2.
"""

from __future__ import annotations

try:
    import httpx
except ImportError as exc:
    raise ImportError("greenh2.adapters.httpx needs httpx: python -m pip install 'greenh2[httpx]'") from exc

from greenh2.adapters._bridge import Bridge, ResponseStream

__all__ = ["GreenTransport"]


class _Stream(ResponseStream, httpx.SyncByteStream):
    """The body of a response, as httpx wants it."""


class GreenTransport(Bridge, httpx.BaseTransport):
    __doc__ = Bridge.__doc__

    family = httpx
    stream_class = _Stream

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        """Send one request and return its response, the body yet to be read.  Switches greenlets."""
        response: httpx.Response = self._send(request)
        return response
