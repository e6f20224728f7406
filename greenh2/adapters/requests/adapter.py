"""GreenAdapter carries the requests of a requests.Session over greenh2."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NoReturn

import requests.exceptions as told
from requests.adapters import BaseAdapter
from requests.cookies import extract_cookies_to_jar
from requests.models import PreparedRequest, Response
from requests.structures import CaseInsensitiveDict
from requests.utils import get_encoding_from_headers
from urllib3.util import Retry

import greenh2._errors as ours
from greenh2._models.config import Limits
from greenh2._models.route import DEFAULT_PORTS
from greenh2._models.settings import Http2Choice
from greenh2._models.transport import BaseTransport
from greenh2.adapters._lines import transport_of
from greenh2.adapters.requests.bodies import request_of, timeout_of
from greenh2.adapters.requests.pools import Cert, OwnPools, Pools, SharedPool, Verify, proxy_for
from greenh2.adapters.requests.raw import RawResponse
from greenh2.adapters.requests.sending import Sending, retry_of

if TYPE_CHECKING:
    from greenh2._client import Client


class GreenAdapter(BaseAdapter):
    """Mount it on a Session, and that speaks HTTP/2 where the server does, over a pool that every greenlet shares.

        session.mount("https://", GreenAdapter())

    `max_retries`: a number of repeats for connections that could not be made, or a Retry of urllib3, which is obeyed
    as requests' HTTPAdapter obeys it; its pauses let other greenlets run.  A body that can be read only once is never
    sent twice.
    `limits`, `http1`, `http2`: as for greenh2.Client.
    `pool`: a greenh2.Client, or its transport, whose connections are used; nothing else of that client has any effect.
    Then `verify` and `cert` are the client's: a request that says others raises ValueError.

    Without `pool` there is one pool for each `verify` and `cert` that requests are made with, each with its own
    limits.  `close()` closes them, and never a shared one.  Pickling keeps the settings and no connection; an adapter
    with a shared pool cannot be pickled.
    """

    def __init__(
        self,
        *,
        max_retries: int | Retry = 0,
        limits: Limits = Limits(),  # noqa: B008  # frozen
        http1: bool = True,
        http2: Http2Choice = True,
        pool: Client | BaseTransport | None = None,
        **foreign: NoReturn,
    ) -> None:
        if foreign:
            raise TypeError(
                f"GreenAdapter takes no {', '.join(foreign)}: its connections are bounded by limits=, as in "
                "greenh2.Limits(max_connections=100, max_connections_per_origin=10)"
            )
        super().__init__()
        self.max_retries = retry_of(max_retries)
        self._own: OwnPools | None = None
        self._pools: Pools
        if pool is None:
            self._pools = self._own = OwnPools(limits=limits, http1=http1, http2=http2)
        else:
            self._pools = SharedPool(transport_of(pool))

    @classmethod
    def over(cls, pools: Pools, max_retries: int | Retry) -> GreenAdapter:
        """Return an adapter over pools that are somebody else's to close."""
        self = cls.__new__(cls)
        BaseAdapter.__init__(self)
        self.max_retries = retry_of(max_retries)
        self._own = None
        self._pools = pools
        return self

    # The order and the names of the parameters are those that Session.send() counts on.
    def send(
        self,
        request: PreparedRequest,
        stream: bool = False,
        timeout: Any = None,
        verify: Verify = True,
        cert: Cert = None,
        proxies: Any = None,
    ) -> Response:
        """Send a prepared request and return its response, the body yet to be read.  Switches greenlets.

        Raises requests' own errors, as HTTPAdapter does; what greenh2 said is the `__cause__`.  A kill or a
        gevent.Timeout passes through as it is, and leaves nothing behind.
        """
        bounds = timeout_of(timeout)
        try:
            outgoing = request_of(request, bounds)
        except ours.InvalidURL as exc:
            raise told.InvalidURL(exc, request=request) from exc
        except ours.LocalProtocolError as exc:
            raise told.InvalidHeader(exc, request=request) from exc
        scheme = outgoing.url.scheme
        if scheme not in DEFAULT_PORTS:
            raise told.InvalidSchema(
                f"{outgoing.url.redacted!r} is neither http:// nor https://", request=request
            )
        proxy = proxy_for(request, proxies)
        line = self._pools.line(scheme, proxy, verify, cert)
        raw = Sending(line, outgoing, request, proxied=proxy is not None).obey(self.max_retries)
        try:
            return self.build_response(request, raw)
        except BaseException:
            raw.close()
            raise

    def build_response(self, request: PreparedRequest, raw: RawResponse) -> Response:
        """Make requests' Response of what came; subclasses may add to it."""
        response = Response()
        response.request = request
        response.connection = self  # type: ignore[assignment]  # their stubs know one adapter
        response.raw = raw
        response.status_code = raw.status
        response.reason = raw.reason or ""
        response.url = request.url or ""
        response.headers = CaseInsensitiveDict(raw.headers)
        response.encoding = get_encoding_from_headers(response.headers)
        extract_cookies_to_jar(response.cookies, request, raw)
        return response

    def close(self) -> None:
        """Close the connections that are this adapter's own; it may be used again.  Never waits.

        As with HTTPAdapter what is under way comes to its end, and its connection is closed then.
        """
        if self._own is not None:
            self._own.close()

    def __getstate__(self) -> dict[str, Any]:
        if not isinstance(self._pools, OwnPools):
            raise TypeError("a GreenAdapter with the pool of a client cannot be pickled: connections cannot")
        return {"max_retries": self.max_retries, **self._pools.options}

    def __setstate__(self, state: dict[str, Any]) -> None:
        GreenAdapter.__init__(self, **state)

    def __repr__(self) -> str:
        return f"<GreenAdapter {self._pools!r}>"
