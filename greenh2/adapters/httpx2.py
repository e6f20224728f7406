"""httpx2 over greenh2: HTTP/2, one fair pool, and safety from kills, for every httpx2.Client as it is.

    import httpx2
    from greenh2.adapters.httpx2 import GreenTransport

    client = httpx2.Client(transport=GreenTransport())

For httpx there is greenh2.adapters.httpx.
"""

from __future__ import annotations

try:
    import httpx2
except ImportError as exc:
    raise ImportError(
        "greenh2.adapters.httpx2 needs httpx2: python -m pip install 'greenh2[httpx2]'"
    ) from exc

from greenh2.adapters._bridge import Bridge, ResponseStream

__all__ = ["GreenTransport"]


class _Stream(ResponseStream, httpx2.SyncByteStream):
    """The body of a response, as httpx2 wants it."""


class GreenTransport(Bridge, httpx2.BaseTransport):
    __doc__ = Bridge.__doc__

    family = httpx2
    stream_class = _Stream

    def handle_request(self, request: httpx2.Request) -> httpx2.Response:
        """Send one request and return its response, the body yet to be read.  Switches greenlets."""
        response: httpx2.Response = self._send(request)
        return response
