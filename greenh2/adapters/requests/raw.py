"""What `response.raw` is: urllib3's own HTTPResponse, reading from greenh2 in place of http.client.

So it decodes as urllib3 does, whatever codings are installed, and is whatever else code expects of it.
"""

from __future__ import annotations

import sys
from collections.abc import Generator
from typing import Any

from urllib3 import HTTPHeaderDict, HTTPResponse
from urllib3.exceptions import HTTPError, ResponseNotChunked
from urllib3.util import Retry

from greenh2._errors import HTTPError as OurError
from greenh2._errors import StreamClosed
from greenh2._models.response import Response
from greenh2.adapters.requests.bodies import BrokenBody
from greenh2.adapters.requests.errors import Place, of_a_body, of_a_source

_VERSIONS = {b"HTTP/2": 20, b"HTTP/1.0": 10}
#: What is read of a response that is not wanted, so that an HTTP/1.1 connection can go on (bytes).
_MOST_DRAINED = 65_536


class RawResponse(HTTPResponse):
    """A response of urllib3 whose bytes come from greenh2.  Reading switches greenlets.

    `stream()` gives a body of known length in pieces of the size asked for, and any other as it arrives.
    `extensions` is what greenh2 tells of the exchange: "http_version", "stream_id", "timings", "connection_info".
    There is no `connection` of http.client.
    """

    def __init__(
        self, response: Response, *, method: str, url: str, place: Place, retries: Retry | None = None
    ) -> None:
        headers = HTTPHeaderDict()
        for name, value in response.headers.raw:
            headers.add(name.decode("latin-1"), value.decode("latin-1"))
        body: Any = BodyFile(response, headers, place, url)
        version: bytes = response.extensions.get("http_version", b"HTTP/1.1")
        super().__init__(
            body=body,
            headers=headers,
            status=response.status_code,
            version=_VERSIONS.get(version, 11),
            reason=_reason(response, version),
            preload_content=False,
            decode_content=False,
            original_response=body,
            retries=retries,
            request_method=method,
            request_url=url,
        )
        self.version_string = version.decode("latin-1")
        self.extensions = response.extensions

    def stream(
        self, amt: int | None = 65_536, decode_content: bool | None = None
    ) -> Generator[bytes, None, None]:
        """Iterate over the body: in pieces of `amt` bytes if its length was announced, else as it arrives."""
        if self.length_remaining is not None:
            yield from super().stream(amt, decode_content)
        else:
            yield from self._arriving(amt, decode_content)

    def read_chunked(
        self, amt: int | None = None, decode_content: bool | None = None
    ) -> Generator[bytes, None, None]:
        """Iterate over a chunked body as it arrives, in pieces of `amt` bytes at most.  The chunks are not kept apart.

        Raises ResponseNotChunked, always so for HTTP/2, which has no chunks.
        """
        if not self.chunked:
            raise ResponseNotChunked(
                "The response is not chunked: its header transfer-encoding does not say so."
            )
        yield from self._arriving(amt, decode_content)

    def supports_chunked_reads(self) -> bool:
        """Tell that `read_chunked()` may be called on a chunked response."""
        return True

    def drain_conn(self) -> None:
        """Read what little may be left, so that an HTTP/1.1 connection can go on, and close.  Raises nothing."""
        try:
            self.read(_MOST_DRAINED, decode_content=False)
        except (HTTPError, RuntimeError):
            pass  # nobody wanted it
        finally:
            self.close()

    def _arriving(self, amt: int | None, decode_content: bool | None) -> Generator[bytes, None, None]:
        if amt == 0:
            return
        while True:
            piece = self.read1(amt, decode_content)
            if piece:
                yield piece
            elif self.isclosed():
                return

    def __del__(self) -> None:
        """Close nothing: this may run anywhere.  The exchange that is dropped with it knows what to do."""


def _reason(response: Response, version: bytes) -> str:
    """Return what stood behind the status, which may be nothing; the registered phrase for HTTP/2, which has none."""
    phrase: bytes | None = response.extensions.get("reason_phrase")
    if version == b"HTTP/2" or phrase is None:
        return response.reason_phrase
    return phrase.decode("latin-1")


class BodyFile:
    """The body of a response as a file that is only read, closed at its end; and what else http.client's has."""

    def __init__(self, response: Response, msg: HTTPHeaderDict, place: Place, url: str) -> None:
        self._response = response
        self._pieces = iter(response.stream)
        self._unread = memoryview(b"")
        self._place = place
        self._url = url
        #: The headers, where requests looks for cookies.
        self.msg = msg
        self.closed = False

    def read(self, amt: int | None = None) -> bytes:
        """Return so many bytes, fewer only at the end; all that is left for None.  Raises urllib3's errors."""
        wanted = sys.maxsize if amt is None else amt
        got: list[bytes] = []
        while wanted > 0 and (piece := self.read1(wanted)):
            got.append(piece)
            wanted -= len(piece)
        return got[0] if len(got) == 1 else b"".join(got)

    def read1(self, amt: int | None = None) -> bytes:
        """Return up to so many bytes as soon as there are any, b"" at the end.  Raises urllib3's errors."""
        if not self._unread:
            if self.closed:
                return b""
            self._unread = memoryview(self._next())
        size = len(self._unread) if amt is None else amt
        piece, self._unread = self._unread[:size], self._unread[size:]
        return bytes(piece)

    def _next(self) -> bytes:
        try:
            piece = next(filter(None, self._pieces), b"")
        except (OurError, StreamClosed) as exc:  # the second where another greenlet has closed it meanwhile
            # The RawResponse closes this then.
            raise of_a_body(exc, self._place, self._url) from exc
        except BrokenBody as exc:  # of the request, which is still being sent
            raise of_a_source(exc.__cause__) from exc.__cause__
        if not piece:
            self.close()
        return piece

    def close(self) -> None:
        """Give the exchange back, whatever is unread.  Never waits."""
        self.closed = True
        self._unread = memoryview(b"")
        self._response.close()

    def isclosed(self) -> bool:
        """Tell whether the end has been read, or `close()` was called."""
        return self.closed

    def flush(self) -> None:
        """Do nothing: nothing is written."""
