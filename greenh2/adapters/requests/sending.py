"""Sending one request, and sending it again as a Retry of urllib3 says."""

from __future__ import annotations

from typing import Any

import gevent
from requests.models import PreparedRequest
from urllib3.exceptions import HTTPError, MaxRetryError
from urllib3.util import Retry

from greenh2._errors import LocalProtocolError, TransportError
from greenh2._middleware.derive import derive
from greenh2._models.request import Request
from greenh2._models.route import DEFAULT_PORTS
from greenh2._models.timeouts import Deadline
from greenh2.adapters._lines import Line
from greenh2.adapters.requests.bodies import BrokenBody
from greenh2.adapters.requests.errors import Place, in_requests, in_urllib3, of_a_source
from greenh2.adapters.requests.raw import RawResponse


def retry_of(max_retries: int | Retry) -> Retry:
    """Return what requests makes of a number: repeats of connections that could not be made, none for 0.

    Raises TypeError for what is neither.
    """
    if not isinstance(max_retries, (int, Retry)):
        raise TypeError(f"max_retries is a number or urllib3's Retry, not {max_retries!r}")
    return Retry(0, read=False) if max_retries == 0 else Retry.from_int(max_retries)


class Sending:
    """One prepared request on its way."""

    __slots__ = ("_line", "_method", "_outgoing", "_place", "_request", "_target")

    def __init__(self, line: Line, outgoing: Request, request: PreparedRequest, *, proxied: bool) -> None:
        url = outgoing.url
        self._line = line
        self._outgoing = outgoing
        self._request = request
        self._method = outgoing.method
        self._target = request.path_url
        #: What urllib3 takes for its pool.
        self._place: Any = Place(
            url.scheme, url.raw_host.decode("ascii"), url.port or DEFAULT_PORTS[url.scheme], proxied=proxied
        )

    def obey(self, retries: Retry) -> RawResponse:
        """Send it until there is a response that counts, or raise requests' error.  Switches greenlets.

        Pauses are gevent's; the `sleep()` of the Retry is not called.
        """
        while True:
            try:
                raw = self._attempt(retries)
            except (TransportError, BrokenBody) as exc:
                retries = self._after_error(exc, retries)
                pause = retries.get_backoff_time()
            else:
                try:
                    again = self._after_status(raw, retries)
                    if again is None:
                        return raw
                    retries = again
                    pause = _pause(raw, retries)
                    raw.drain_conn()
                except HTTPError as exc:
                    raw.drain_conn()
                    raise in_requests(exc, self._request) from exc
                except BaseException:
                    raw.close()
                    raise
            if pause > 0:
                gevent.sleep(pause)

    def _attempt(self, retries: Retry) -> RawResponse:
        deadline = Deadline(self._outgoing.extensions["timeout"])
        extensions = {**self._outgoing.extensions, "deadline": deadline}
        response = self._line.send(derive(self._outgoing, extensions=extensions))
        return RawResponse(
            response, method=self._method, url=self._target, place=self._place, retries=retries
        )

    def _after_error(self, error: TransportError | BrokenBody, retries: Retry) -> Retry:
        """Return the repeats that are left; raise requests' error when there is none for this one."""
        if isinstance(error, BrokenBody):
            cause, told_so = error.__cause__, of_a_source(error.__cause__)
        else:
            cause, told_so = error, in_urllib3(error, self._place, self._target)
        if isinstance(error, LocalProtocolError):
            raise in_requests(told_so, self._request) from cause  # it would be the same the next time
        try:
            left = retries.increment(self._method, self._target, error=told_so, _pool=self._place)
        except HTTPError as exc:
            raise in_requests(exc, self._request) from cause
        if not self._outgoing.body.replayable:
            raise in_requests(told_so, self._request) from cause
        return left

    def _after_status(self, raw: RawResponse, retries: Retry) -> Retry | None:
        """Return the repeats that are left; None when the response is to be returned.  Raises MaxRetryError."""
        announced = "retry-after" in raw.headers
        if not self._outgoing.body.replayable or not retries.is_retry(self._method, raw.status, announced):
            return None
        try:
            return retries.increment(self._method, self._target, response=raw, _pool=self._place)
        except MaxRetryError:
            if retries.raise_on_status:
                raise
            return None


def _pause(raw: RawResponse, retries: Retry) -> float:
    """Return the seconds to wait: what Retry-After says, if that is to be respected, or the backoff."""
    if retries.respect_retry_after_header and (seconds := retries.get_retry_after(raw)):
        return seconds
    return retries.get_backoff_time()
